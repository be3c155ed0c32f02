"""Generate text in batches."""
