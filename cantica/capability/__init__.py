"""Capability items, and checks of the answers to them."""
