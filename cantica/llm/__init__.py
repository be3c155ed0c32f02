"""Clients of language models, on a server or local. Replies are kept on disk."""
