"""Models: one file each, a function or class from flat arguments to an uncompiled keras.Model."""
