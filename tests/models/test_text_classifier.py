"""The classifier of texts: its options, and that no encoder sees the padding."""

import pytest

from conftest import slow_on
from trainings import Refused, worker

# Of a text, with and without padding, by models with the same weights.
PADDED = """
import numpy as np
from dlrun.models.text_classifier import text_classifier

options = dict(input_sizes={None: (9,)}, encoder=%r, units=8, blocks=2, num_heads=2)
short, long = (text_classifier((length,), 3, **options) for length in (4, 11))
for mine, theirs in zip(short.variables, long.variables, strict=True):
    value = np.random.default_rng(len(mine.path)).normal(size=theirs.shape)
    theirs.assign(value)
    mine.assign(value[:4] if mine.path.endswith("places") else value)
ids = np.array([[3, 2, 8, 1], [5, 1, 0, 0]], "int32")
padded = np.pad(ids, [(0, 0), (0, 7)])
outputs = [np.asarray(m.predict_on_batch(x)) for m, x in ((short, ids), (long, padded))]
found = {"difference": float(np.abs(outputs[0] - outputs[1]).max()),
         "spread": float(np.ptp(outputs[0])), "parameters": long.count_params()}
"""
UNITS, SIZE, LENGTH = 8, 9, 11
NORMAL, ENDS = 2 * UNITS, SIZE * UNITS + UNITS * (UNITS + 1) + 3 * (UNITS + 1)
BLOCK = 4 * UNITS * (UNITS + 1) + 2 * NORMAL + 2 * UNITS * (UNITS + 1) + UNITS * (2 * UNITS + 1)
PARAMETERS = {
    "pooling": ENDS,
    "lstm": ENDS + 2 * 4 * UNITS * (2 * UNITS + 1),
    "transformer": ENDS + LENGTH * UNITS + 2 * BLOCK + NORMAL,
}


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
@pytest.mark.parametrize("encoder", PARAMETERS)
def test_no_encoder_sees_the_padding(tmp_path, backend, encoder):
    found = worker(backend).run(tmp_path, PADDED % encoder)
    assert found["difference"] < 1e-5 * max(1, found["spread"])
    assert found["parameters"] == PARAMETERS[encoder]


@pytest.mark.trains
@pytest.mark.parametrize(
    "encoder",
    ["pooling", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lstm", "transformer"))],
)
def test_each_encoder_learns_which_token_is_more_frequent(tmp_path, encoder):
    given = ("model=text_classifier", f"model.encoder={encoder}", "model.units=16", "batch_size=64")
    result = worker("torch").train(tmp_path, *given, "epochs=6", "optimizer.learning_rate=5e-3")
    assert result["test"]["accuracy"] > 0.85


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["model.encoder=gru"], "model.encoder=gru: expected pooling, lstm, transformer"),
        (["model.encoder=transformer", "model.units=6"], "model.units=6 can't be divided among"),
        (["data=blobs"], "the data do not say what the ids of words are below"),
        (["data=mnist", "model.vocabulary_size=9"], "reads a text, the ids of its words; the data"),
        (["data=tickets", "task=tickets"], "reads one text; the data have 3 inputs"),
    ],
)
def test_what_it_can_not_read_is_refused(tmp_path, overrides, problem):
    with pytest.raises(Refused) as caught:
        worker("jax").train(tmp_path, "model=text_classifier", "data.limit=100", *overrides)
    assert problem in caught.value.message
    assert caught.value.hint or "encoder" in problem
