"""The rules of the audit, and statistics of the dataset."""
