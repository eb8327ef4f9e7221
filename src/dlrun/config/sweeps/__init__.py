"""Several runs from one command line: expansion, search spaces, launchers."""
