"""The linear classifier in each framework's own terms, under the raw loop.

Each module has a stepper that holds the kernel, ``(features, 1)``, and the bias, ``(1,)``, in the
framework's own variables. It reads them from the model before an epoch and writes them back after.
"""
