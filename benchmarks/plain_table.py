"""The plain script for a CSV: pandas reads it, NumPy standardizes it, Keras trains for an epoch.

It does what ``dlrun train data=csv`` does: the same split, scaling and one-hot categories, the same
MLP. Prints its own measurements as JSON.

    KERAS_BACKEND=jax python benchmarks/plain_table.py TABLE.csv TARGET
"""

import json
import sys
import time

import keras
import numpy as np
import pandas as pd

from dlrun.system import process  # its clock and its memory reading only: the same ruler for both


class FirstBatch(keras.callbacks.Callback):
    seconds = None

    def on_train_batch_end(self, batch, logs=None):
        if self.seconds is None:
            self.seconds = time.time() - process.started_at()


def main():
    path, target = sys.argv[1:3]
    frame = pd.read_csv(path)
    labels = frame.pop(target).to_numpy()
    order = np.random.default_rng(0).permutation(len(frame))
    size = round(0.15 * len(frame))
    test, validation, train = order[:size], order[size : 2 * size], order[2 * size :]

    numbers = frame.select_dtypes("number")
    mean, deviation = numbers.iloc[train].mean(), numbers.iloc[train].std(ddof=0)
    numbers = ((numbers.fillna(mean) - mean) / deviation).astype("float32")
    dummies = pd.get_dummies(frame.select_dtypes(exclude="number"), dtype="float32")
    inputs = pd.concat([numbers, dummies], axis=1).to_numpy()
    labels = (labels - labels[train].mean()) / labels[train].std()
    labels = labels.astype("float32")[:, None]

    features = keras.Input((inputs.shape[1],))
    x = keras.layers.Dense(64, activation="relu")(features)
    x = keras.layers.Add()([x, keras.layers.Dense(64, activation="relu")(x)])
    model = keras.Model(features, keras.layers.Dense(1)(x))
    model.compile("adam", "mse", metrics=["mae"])
    first = FirstBatch()
    model.fit(
        inputs[train],
        labels[train],
        batch_size=1024,
        epochs=1,
        validation_data=(inputs[validation], labels[validation]),
        callbacks=[first],
        verbose=0,
    )
    loss, _ = model.evaluate(inputs[test], labels[test], batch_size=1024, verbose=0)
    figures = {
        "first_batch_seconds": first.seconds,
        "peak_memory_bytes": process.peak_memory_bytes(),
        "loss": loss,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
