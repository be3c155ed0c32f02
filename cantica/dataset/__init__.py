"""Examples: their chat format, their words, the lines of a file, and repairs of records."""
