"""Sweeps and searches: which runs there are, and the processes that train them."""
