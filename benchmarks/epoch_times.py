"""When each epoch ended, for ``images.py``."""

import os
import time
from pathlib import Path

import keras


class EpochTimes(keras.callbacks.Callback):
    """Append the time to the file that ``EPOCH_TIMES`` names, at the end of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        with Path(os.environ["EPOCH_TIMES"]).open("a", encoding="utf-8") as file:
            file.write(f"{time.time()}\n")
