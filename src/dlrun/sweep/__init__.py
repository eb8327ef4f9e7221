"""Many runs: planned, given to warm workers, none lost."""
