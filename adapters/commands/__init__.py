"""The command line's nouns, one file each, and what they share."""
