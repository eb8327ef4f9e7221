"""Forecast the next rows of a time series.

Source: Zeng et al., Are Transformers Effective for Time Series Forecasting?, 2023, whose NLinear is
the part without the encoder.
"""

from typing import Any

import keras

from dlrun.errors import DlrunError

ENCODERS = ("mlp", "lstm", "conv")


def forecaster(
    input_shape: Any,
    num_classes: Any,
    *,
    horizon: int = 1,
    encoder: str = "mlp",
    units: int = 64,
    blocks: int = 2,
    dropout: float = 0.0,
) -> keras.Model:
    """A Functional model: the last value, a linear function of the window, and an encoder's, added.

    The linear function begins at 0. The encoder's last layer does not: the others' first gradients
    would be 0, and Adam would make steps of full size of the rounding of the next ones.

    Args:
        input_shape: ``(history, columns)``; those to forecast are the first columns.
        num_classes: ``horizon`` times the columns to forecast: the output is ``(batch_size,
            num_classes)`` float32, the columns of the first row, then those of the second.
        horizon: Rows to forecast.
        encoder: ``mlp``: dense layers over the whole window. ``lstm``: the last state of an LSTM.
            ``conv``: causal convolutions, each of which looks twice as far back as the one before.
        units: Width of the encoder.
        blocks: Dense layers, LSTMs or convolutions, one after the other.
        dropout: The share of the encoder's values that are dropped in training.

    Raises:
        DlrunError: If the inputs are not windows of rows, or an option is impossible.
    """
    if encoder not in ENCODERS:
        raise DlrunError(f"model.encoder={encoder}: expected {', '.join(ENCODERS)}")
    is_window = isinstance(input_shape, tuple | list) and len(input_shape) == 2
    if not is_window or not isinstance(num_classes, int) or num_classes % horizon:
        raise DlrunError(
            f"model=forecaster reads windows (history, columns), and forecasts {horizon} rows"
            f" (model.horizon); the data have inputs {input_shape} and {num_classes} values",
            hint="choose data=timeseries, or another model",
        )
    layers, targets = keras.layers, num_classes // horizon
    if targets > input_shape[1]:
        raise DlrunError(
            f"model.horizon={horizon}: {num_classes} values would be {targets} columns of"
            f" {input_shape[1]}",
            hint="model.horizon=${data.horizon}",
        )
    inputs = keras.Input(input_shape)
    last = layers.RepeatVector(horizon, name="last")(inputs[:, -1, :targets])
    level = layers.Reshape((num_classes,), name="level")(last)
    # The columns to forecast as they differ from their last value, the others as they are.
    rows = layers.Subtract(name="changes")([inputs[:, :, :targets], inputs[:, -1:, :targets]])
    if input_shape[1] > targets:
        rows = layers.Concatenate(name="rows")([rows, inputs[:, :, targets:]])
    flat = layers.Flatten(name="flat")(rows)
    # In float32 even if the others compute in half precision, as their sum is the output.
    linear = layers.Dense(num_classes, kernel_initializer="zeros", dtype="float32", name="linear")
    x = flat if encoder == "mlp" else rows
    for block in range(1, blocks + 1):
        if encoder == "mlp":
            x = layers.Dense(units, activation="relu", name=f"hidden_{block}")(x)
        elif encoder == "lstm":
            x = layers.LSTM(units, return_sequences=block < blocks, name=f"lstm_{block}")(x)
        else:
            x = layers.Conv1D(
                units,
                3,
                padding="causal",
                dilation_rate=2 ** (block - 1),
                activation="relu",
                name=f"conv_{block}",
            )(x)
        x = layers.Dropout(dropout, name=f"dropout_{block}")(x) if dropout else x
    x = x[:, -1] if encoder == "conv" else x
    encoded = layers.Dense(num_classes, dtype="float32", name="encoded")
    outputs = layers.Add(dtype="float32", name="logits")([level, linear(flat), encoded(x)])
    return keras.Model(inputs, outputs, name="forecaster")
