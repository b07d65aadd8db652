"""Everything that speaks to a broker of the user's own: links to it, and what is kept in step or answered there."""
