"""Losses of our own; Keras' need a YAML only."""
