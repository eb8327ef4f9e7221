"""From a config to live objects: backend, data set, model, loop; and the checks of these."""
