"""Loops: the training modes, one module each."""

# Those that take the same steps on every backend.
LOOPS = ("fit", "train_step", "raw")
