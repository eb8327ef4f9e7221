"""MNIST, shipped with the package.

By Yann LeCun, Corinna Cortes and Christopher J.C. Burges, under CC BY-SA 3.0; see
``MNIST-LICENSE.md`` beside this file.
"""

import hashlib
import io
from pathlib import Path

import numpy as np

from dlrun.data.dataset import Dataset, Split, split_off
from dlrun.errors import DlrunError
from dlrun.system.files import is_file

FILE = Path(__file__).with_name("mnist.npz")
SHA256 = "a6cba339db52c4561749988758479cf325dd924098ca0bb54ab62f228592e90f"


def mnist(*, validation_samples: int = 10_000, limit: int | None = None) -> Dataset:
    """60,000 training and 10,000 test images of handwritten digits, as in Keras.

    Images are ``(28, 28)`` uint8 in memory and float32 in [0, 1] in a batch; labels are 0 to 9.

    Args:
        validation_samples: The first N of the 60,000 are for validation; 0 trains on all.
        limit: Keep the first N samples of each split.

    Raises:
        DlrunError: If the shipped file is missing or was changed.
    """
    content = FILE.read_bytes() if is_file(FILE) else b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DlrunError(f"{FILE} is damaged or missing", hint="install dlrun again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return split_off(
            arrays["x_train"],
            arrays["y_train"],
            Split(arrays["x_test"], arrays["y_test"]),
            validation_samples=validation_samples,
            limit=limit,
            num_classes=10,
            scale=255,
        )
