"""Evaluation prompts, scores by rules, and verdicts of language models as judges."""
