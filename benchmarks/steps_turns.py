"""See ``steps.py``."""

import time
from pathlib import Path

import keras

from turns import turn


class TakeTurns(keras.callbacks.Callback):
    """Wait for the program's turn after each epoch, and write its processor seconds to a file."""

    def __init__(self, file):
        super().__init__()
        self.turn = turn()
        self.file = Path(file)
        self.began = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.process_time() - self.began
        with self.file.open("a") as file:
            print(seconds, file=file)
        next(self.turn)
