"""The scenarios of a category: rendered from templates, written by a language model, or imported."""
