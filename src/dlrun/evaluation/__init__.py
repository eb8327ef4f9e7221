"""What a model's outputs on a split say: exact figures from true values and outputs, in NumPy."""
