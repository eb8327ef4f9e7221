"""Several runs from one command: expansion of overrides, search spaces, launchers."""
