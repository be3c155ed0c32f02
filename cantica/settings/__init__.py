"""Check `params.yaml` as a whole: the tree of steps, the base model's options, and the names of outputs."""
