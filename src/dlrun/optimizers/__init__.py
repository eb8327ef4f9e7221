"""dlrun's own optimizers, and Keras wrappers for torch.optim and optax."""
