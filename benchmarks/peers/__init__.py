"""Cantica and those it is measured against: a process each, that answers requests in JSON lines."""
