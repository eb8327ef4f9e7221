"""The peak memory up to the first trained batch, for ``tables.py`` and its plain script."""

import os
from pathlib import Path

import keras

from dlrun.system import process


class FirstBatchPeak(keras.callbacks.Callback):
    """Write the peak memory in bytes to the file that ``FIRST_BATCH_PEAK`` names."""

    def on_train_batch_end(self, batch, logs=None):
        path = Path(os.environ["FIRST_BATCH_PEAK"])
        if not path.exists():
            path.write_text(str(process.peak_memory_bytes()), encoding="utf-8")
