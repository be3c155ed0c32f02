"""Log-probabilities that a model gives to texts."""
