"""Data sets: one file each, NumPy only, no download."""
