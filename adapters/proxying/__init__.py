"""Proxies in front of the gateway: which are believed, and what they say about whom they speak for."""
