"""Overlays on params.yaml, and building them, for `cantica variant`."""
