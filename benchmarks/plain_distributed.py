"""What a user would write to train the books' first network on two devices of one machine.

``lightning`` is a module and a data loader under Lightning's DDP, two processes over gloo (pip
install lightning); ``keras`` is ``fit`` under Keras' DataParallel on jax, one process, two devices.
Each trains on 50,000 images, validates on 10,000 after each epoch, and keeps the best weights. The
last line on stdout is the list of seconds of each epoch, with its validation and checkpoint.

    python benchmarks/plain_distributed.py lightning|keras MNIST.npz OUT_DIR EPOCHS BATCH_SIZE
"""

import itertools
import json
import os
import sys
import time

import numpy as np


def load(path):
    """Images, ``(60000, 784)`` float32 in [0, 1], and labels; 10,000 are for validation."""
    with np.load(path) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    return images.reshape((60000, 28 * 28)).astype("float32") / 255, labels


def tell(begins):
    print(json.dumps([end - begin for begin, end in itertools.pairwise(begins)]))


def with_lightning(images, labels, out, epochs, batch_size):
    import lightning
    import torch
    from lightning.pytorch.strategies import DDPStrategy
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    begins = []

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            hidden, last = torch.nn.Linear(784, 512), torch.nn.Linear(512, 10)
            self.net = torch.nn.Sequential(hidden, torch.nn.ReLU(), last)

        def loss_and_accuracy(self, batch):
            images, labels = batch
            logits = self.net(images)
            loss = functional.cross_entropy(logits, labels)
            return loss, (logits.argmax(1) == labels).float().mean()

        def training_step(self, batch, index):
            loss, accuracy = self.loss_and_accuracy(batch)
            self.log_dict({"loss": loss, "accuracy": accuracy}, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch, index):
            loss, accuracy = self.loss_and_accuracy(batch)
            self.log_dict({"val_loss": loss, "val_accuracy": accuracy}, sync_dist=True)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.001, eps=1e-7)

    class Clock(lightning.Callback):
        def on_train_epoch_start(self, trainer, module):
            begins.append(time.perf_counter())

        def on_train_end(self, trainer, module):
            begins.append(time.perf_counter())

    def loader(part, **keywords):
        tensors = torch.from_numpy(images[part]), torch.from_numpy(labels[part].astype("int64"))
        return DataLoader(TensorDataset(*tensors), batch_size // 2, **keywords)

    best = lightning.pytorch.callbacks.ModelCheckpoint(out, monitor="val_loss")
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=2,
        strategy=DDPStrategy(process_group_backend="gloo"),
        max_epochs=epochs,
        callbacks=[Clock(), best],
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        num_sanity_val_steps=0,
    )
    training = loader(slice(10000, None), shuffle=True)
    trainer.fit(Module(), training, loader(slice(10000)))
    if trainer.global_rank == 0:
        tell(begins)


def with_keras(images, labels, out, epochs, batch_size):
    import keras

    begins = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begins.append(time.perf_counter())

        def on_train_end(self, logs=None):
            begins.append(time.perf_counter())

    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = f"{out}/best.weights.h5"
    model.fit(
        images[10000:],
        labels[10000:],
        epochs=epochs,
        batch_size=batch_size,
        validation_data=(images[:10000], labels[:10000]),
        callbacks=[
            keras.callbacks.ModelCheckpoint(best, save_best_only=True, save_weights_only=True),
            Clock(),
        ],
        verbose=0,
    )
    tell(begins)


def main():
    how, data, out, epochs, batch_size = sys.argv[1:]
    if how == "keras":
        os.environ |= {"KERAS_BACKEND": "jax", "JAX_NUM_CPU_DEVICES": "2"}
    train = {"keras": with_keras, "lightning": with_lightning}[how]
    train(*load(data), out, int(epochs), int(batch_size))


if __name__ == "__main__":
    main()
