"""Speed and memory: what `make bench` and `python -m pytest benchmarks --benchmark-enable -s` measure."""
