"""What ``dlrun data`` tells of a data set."""
