"""Probes: pairs of completions, and behaviours."""
