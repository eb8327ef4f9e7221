"""Optimizers of our own, and those of torch.optim and optax in Keras' clothes."""
