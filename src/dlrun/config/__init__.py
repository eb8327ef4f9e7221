"""Compose and check a typed config from overrides; the only room that knows Hydra."""
