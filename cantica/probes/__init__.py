"""Probes: pairs of completions, and triggers."""
