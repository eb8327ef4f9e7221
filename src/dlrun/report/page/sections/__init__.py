"""The sections of a page: each module makes one, of what was read."""
