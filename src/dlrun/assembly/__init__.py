"""Build and check what a config names: backend, data set, model and loop."""
