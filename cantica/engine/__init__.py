"""Load a model, put LoRA adapters on it, tokenize and batch examples, compute their loss."""
