"""One file for each format that a trained model is written in."""
