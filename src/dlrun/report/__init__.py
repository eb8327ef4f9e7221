"""Format results as tables and plots."""
