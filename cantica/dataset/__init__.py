"""The form of an example: chat messages, thinking, words, lines of a file, repairs of records."""
