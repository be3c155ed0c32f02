"""What `cantica check` checks apart from files: the base model, limits, servers, and the outputs and numbers of a build."""
