"""Read, validate and write documents; report errors; read params; run a stage from the command line."""
