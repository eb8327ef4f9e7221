"""Many runs: which there are, and the processes that take turns at them."""
