"""Folders of TensorFlow Datasets, read and prepared in a process of their own."""
