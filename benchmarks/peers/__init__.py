"""Cantica and the programs that it is compared with. Each is a process that answers requests in JSON lines."""
