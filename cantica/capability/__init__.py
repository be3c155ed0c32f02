"""Capability items, and checks of their answers."""
