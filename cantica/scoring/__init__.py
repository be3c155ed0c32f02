"""Compute the log-probabilities that a model gives to texts."""
