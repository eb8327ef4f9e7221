"""The commands as Python functions. They print nothing."""
