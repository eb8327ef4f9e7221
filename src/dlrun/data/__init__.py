"""Data sets: one module each, NumPy only, no downloads."""
