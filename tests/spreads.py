"""A run to spread over several devices or processes, and how near it is to that of one device."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

# Whatever a batch shares: its statistics, and a loss of the weights that is not a mean of samples.
NET = """
import keras

def net(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(num_classes),
    ], name="net")
"""
# The last batch, of data.limit, is shorter than the others.
RUN = (
    "model=net", "data=sklearn", "data.name=digits", "batch_size=50", "epochs=2", "device=cpu",
    "task.class_weight=balanced", "+optimizer.global_clipnorm=0.5",
    "+optimizer.gradient_accumulation_steps=2", "+metrics=f1",
)  # fmt: skip


def write_net(folder: Path) -> Path:
    """Write the model of these runs into a folder that they start in; returns the folder."""
    (folder / "my_net.py").write_text(NET)
    (folder / "configs" / "model").mkdir(parents=True)
    (folder / "configs" / "model" / "net.yaml").write_text("_target_: my_net.net\n")
    return folder


def assert_same_rows(rows: Sequence[Mapping], others: Sequence[Mapping]) -> None:
    """Require the same numbers in every epoch, as near as another order of sums is."""
    assert len(rows) == len(others) and rows
    for row, other in zip(rows, others, strict=True):
        for name in row:
            if "seconds" not in name and "per_second" not in name:
                assert row[name] == pytest.approx(other[name], rel=1e-5, abs=1e-6), name


def assert_same_run(run: Mapping, other: Mapping) -> None:
    """Require the same numbers in every epoch, and on the test split."""
    assert_same_rows(run["rows"], other["rows"])
    assert run["test"] == pytest.approx(other["test"], rel=1e-5)
