"""The commands, one file each: what may be typed, and what is printed."""
