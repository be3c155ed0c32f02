"""Clients of language models, on a server or local, with replies that are kept."""
