"""The linear classifier in each framework's own terms, under the raw loop.

Each module has a stepper that keeps the kernel, ``(features, 1)``, and the bias, ``(1,)``, in the
framework's own variables, takes them from the model before an epoch and gives them back after it.
"""
