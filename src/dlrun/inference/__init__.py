"""Evaluate and predict with the model of an existing run."""
