"""Loops: the training modes, one file each."""
