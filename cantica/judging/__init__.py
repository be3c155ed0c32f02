"""Evaluation prompts, scores by rules, and verdicts by language models."""
