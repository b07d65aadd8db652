"""One module a vendor: its routes, its words, its texts. Pure: bytes to messages and back."""
