"""Base models: GGUF files, tokenizers of random models, pinned hashes."""
