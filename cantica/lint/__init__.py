"""The rules of the audit, and figures about the dataset."""
