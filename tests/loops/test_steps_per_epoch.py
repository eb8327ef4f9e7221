"""Epochs of a given number of steps, cut from one pass over the data after the other."""

import numpy as np
import pytest

from conftest import slow_on
from dlrun.data.batches import Batches, permutation
from dlrun.data.dataset import Dataset, Split
from dlrun.data.length import Length
from trainings import worker

# 400 training samples, 8 steps a pass; an epoch of 6 steps ends within one.
SMALL = (
    "data.limit=400",
    "batch_size=50",
    "model=mnist_mlp",
    "model.units=16",
    "~callbacks.early_stopping",
)
CUT = (*SMALL, "steps_per_epoch=6")


def test_epochs_go_on_with_the_data_where_the_last_one_ended():
    split = Split(np.zeros((10, 1), np.float32), np.arange(10))
    data = Dataset(split, split[:0], split, 10, length=Length(4, 4, 20, 4))
    batches = Batches(data, data.train, 4, seed=3)
    assert len(batches) == 1
    seen = []
    for epoch in range(5):
        batches.start_epoch(epoch)
        seen += batches[0][1].tolist()
    passes = [permutation(3, number, 10) for number in range(2)]
    assert seen == np.concatenate(passes).tolist()
    batches.start_epoch(2)  # as a resumed run does
    assert batches[0][1].tolist() == seen[8:12]
    evaluated = Batches(data, data.train, 4)
    assert [len(evaluated[n][1]) for n in range(len(evaluated))] == [4, 4, 2]


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("jax", "tensorflow"))
def test_every_loop_takes_the_same_steps_and_a_resumed_run_goes_on(tmp_path, backend):
    runs = {
        loop: worker(backend).train(tmp_path, *CUT, "epochs=4", f"loop={loop}")
        for loop in ("fit", "raw")
    }
    for row, expected in zip(runs["raw"]["rows"], runs["fit"]["rows"], strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert row["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)
    half = worker(backend).train(tmp_path, *CUT, "epochs=3", "loop=raw")
    resumed = worker(backend).resume(tmp_path, half["path"], "epochs=4")
    for row, expected in zip(resumed["rows"], runs["raw"]["rows"], strict=True):
        assert {**row, "seconds": 0} == {**expected, "seconds": 0}


@pytest.mark.trains
def test_as_many_steps_as_a_pass_are_an_epoch_as_without(tmp_path):
    given, usual = (
        worker("jax").train(tmp_path, *SMALL, "epochs=2", *typed)["rows"]
        for typed in (["steps_per_epoch=8"], [])
    )
    for row, expected in zip(given, usual, strict=True):
        assert {**row, "seconds": 0} == {**expected, "seconds": 0}
