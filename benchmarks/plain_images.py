"""What a user writes for a folder of images: ``image_dataset_from_directory`` and ``fit``.

    KERAS_BACKEND=tensorflow python benchmarks/plain_images.py FOLDER EPOCHS MODEL

MODEL is ``light`` or ``small_convnet``.
"""

import sys

import keras

from dlrun.models.small_convnet import small_convnet  # the same network on both sides
from epoch_times import EpochTimes
from image_models import light


def main():
    folder, epochs, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    images = keras.utils.image_dataset_from_directory(
        folder, image_size=(96, 96), batch_size=128, seed=0
    )
    images = images.prefetch(2)
    inputs = keras.Input((96, 96, 3))
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    network = {"light": light, "small_convnet": small_convnet}[name]
    model = keras.Model(inputs, network((96, 96, 3), 10)(scaled))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(images, epochs=epochs, callbacks=[EpochTimes()], verbose=2)


if __name__ == "__main__":
    main()
