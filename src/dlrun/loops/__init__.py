"""Loops: the training modes, one module each."""
