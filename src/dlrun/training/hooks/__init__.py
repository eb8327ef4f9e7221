"""Callbacks that the runner adds itself; no config names them."""
