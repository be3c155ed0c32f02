"""Runs that can be cited: their files in docs/experiments/runs/, and the pages written from them."""
