"""The runner's own callbacks; no config names them."""
