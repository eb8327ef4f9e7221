"""Loops: the training modes, one file each."""

# Those that take the same steps on every backend.
LOOPS = ("fit", "train_step", "raw")
