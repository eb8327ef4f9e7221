"""Run directories: names, records, status and queries. Standard library only."""
