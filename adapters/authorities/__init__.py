"""Certificate authorities: who signs what devices are given, here or elsewhere, and where their key pairs are made."""
