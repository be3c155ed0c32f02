"""Train one step: the loop, the optimizer, checkpoints, several processes."""
