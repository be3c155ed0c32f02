"""Everything that knows DVC's internals: its records, graph, cache and forecasts, and running it."""
