"""Scenarios of a category: filled into templates, written by a language model, or imported."""
