"""The options that ship with dlrun; a package only so that Hydra finds it as ``pkg://``."""
