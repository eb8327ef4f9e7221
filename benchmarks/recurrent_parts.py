"""What ``recurrent.py`` trains: data and a model for dlrun, and torch's own layers by hand.

Run as a script, this file is the loop by hand: python recurrent_parts.py lstm|gru
"""

import sys

import numpy as np

from turns import turn

TRAINED, STEPS, FEATURES, UNITS, CLASSES, BATCH = 512, 100, 32, 64, 4, 32


def sequences():
    """Sequences of numbers, and which quarter their mean lies in."""
    x = np.random.default_rng(0).normal(size=(TRAINED + 128, STEPS, FEATURES)).astype("float32")
    return x, np.digitize(x.mean((1, 2)), np.quantile(x.mean((1, 2)), (0.25, 0.5, 0.75)))


def keras_model(input_shape, num_classes, *, units=UNITS, kind="lstm", masked=False):
    """A recurrent layer of Keras and logits."""
    import keras

    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[kind]
    mask = [keras.layers.Masking()] if masked else []
    return keras.Sequential(
        [keras.Input(input_shape), *mask, layer(units), keras.layers.Dense(num_classes)]
    )


def by_hand(kind):
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
            self.recurrent = layer(FEATURES, UNITS, batch_first=True)
            self.dense = torch.nn.Linear(UNITS, CLASSES)

        def forward(self, x):
            return self.dense(self.recurrent(x)[0][:, -1])

    x, labels = (torch.from_numpy(array[:TRAINED]) for array in sequences())
    network, ours = Network(), turn()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    while True:
        for batch in torch.randperm(TRAINED).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[batch]), labels[batch]).backward()
            optimizer.step()
        next(ours)


if __name__ == "__main__":
    by_hand(sys.argv[1])
