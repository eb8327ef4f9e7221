"""From what the user types to a checked, typed config; the only room that knows Hydra."""
