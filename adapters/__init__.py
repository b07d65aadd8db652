"""What carries requests to the core and answers back: protocols, dialects, command line and composition root."""
