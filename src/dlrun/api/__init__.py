"""What each command does, as a Python function; nothing here prints."""
