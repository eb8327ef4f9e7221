"""The commands, one file each: their arguments and what they print."""
