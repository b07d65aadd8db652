"""What a gateway does beside others over one registry: what they tell each other, and what they count together."""
