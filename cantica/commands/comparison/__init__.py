"""What `cantica compare` compares: revisions, their conditions, and their measures."""
