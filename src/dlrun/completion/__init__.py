"""Completion in a shell. It is called for each press of a key, so it imports next to nothing."""
