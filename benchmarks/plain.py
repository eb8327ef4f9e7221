"""The plain Keras script that dlrun is measured against: the books' first network with fit().

It does what ``dlrun train`` does by default: 50,000 training images, validation on 10,000 after
each epoch, the best weights kept, early stopping, a CSV log, a test at the end. Prints its own
measurements as JSON.

    KERAS_BACKEND=jax python benchmarks/plain.py MNIST.npz OUT_DIR EPOCHS [SAMPLES LEARNING_RATE]

SAMPLES limits each split, as data.limit does.
"""

import sys
import time

import keras
import numpy as np

from dlrun.system import process  # its clock and its memory reading only: the same ruler for both


class Clock(keras.callbacks.Callback):
    async_safe = True

    def __init__(self):
        super().__init__()
        self.first_batch = None
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.first_batch = self.first_batch or time.time()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(time.perf_counter() - self.began)


def main():
    data, out, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    samples, rate = (int(sys.argv[4]), float(sys.argv[5])) if len(sys.argv) > 4 else (50000, 0.001)
    with np.load(data) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
        test_images, test_labels = arrays["x_test"], arrays["y_test"]
    images = images.reshape((60000, 28 * 28)).astype("float32") / 255
    test_images = test_images.reshape((10000, 28 * 28)).astype("float32") / 255

    model = keras.Sequential(
        [
            keras.Input((28 * 28,)),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    began = time.perf_counter()
    model.fit(
        images[10000:][:samples],
        labels[10000:][:samples],
        epochs=epochs,
        batch_size=128,
        validation_data=(images[:10000][:samples], labels[:10000][:samples]),
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                f"{out}/best.weights.h5", save_best_only=True, save_weights_only=True
            ),
            keras.callbacks.EarlyStopping(patience=epochs),
            keras.callbacks.CSVLogger(f"{out}/log.csv"),
            clock,
        ],
        verbose=2,
    )
    fit_seconds = time.perf_counter() - began
    model.load_weights(f"{out}/best.weights.h5")
    test = test_images[:samples], test_labels[:samples]
    _, accuracy = model.evaluate(*test, batch_size=128, verbose=0)

    import json

    print(
        json.dumps(
            {
                "first_batch_seconds": clock.first_batch - process.started_at(),
                "epoch_seconds": (fit_seconds - clock.epochs[0]) / max(epochs - 1, 1),
                "peak_memory_bytes": process.peak_memory_bytes(),
                "accuracy": accuracy,
            }
        )
    )


if __name__ == "__main__":
    main()
