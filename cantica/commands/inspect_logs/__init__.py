"""Logs in Inspect's format, for `cantica transcripts`."""
