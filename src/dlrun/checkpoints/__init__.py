"""Checkpoints on disk: format, store, and loading them into a model."""
