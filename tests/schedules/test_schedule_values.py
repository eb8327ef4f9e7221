"""The learning rates of each schedule, against the formulas in float64 and torch's one cycle."""

import math

import pytest

from conftest import slow_on
from trainings import BACKENDS, Refused, worker

RATE, EPOCHS, PER_EPOCH = 0.1, 4, 12.5
SCRIPT = """
import importlib, keras, numpy as np
cases = CASES
for key, (name, arguments) in cases.items():
    make = getattr(importlib.import_module(f"dlrun.schedules.{name}"), name)
    schedule = make(0.1, epochs=4, steps_per_epoch=12.5, **arguments)
    steps = STEPS
    rates = [float(keras.ops.convert_to_numpy(schedule(np.int32(step)))) for step in steps]
    found[key] = rates
if "torch" == keras.backend.backend():
    import torch
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=50)
    found["torch"] = []
    for _ in range(50):
        found["torch"].append(cycle.get_last_lr()[0])
        optimizer.step()
        cycle.step() if len(found["torch"]) < 50 else None
"""
STEPS = (0, 1, 9, 10, 12, 13, 19, 20, 24, 25, 26, 49, 50, 59)
CASES = {
    "cosine": ("cosine", {"end_factor": 0.1}),
    "fixed": ("cosine", {"length": 20, "unit": "steps"}),
    "warmup": ("warmup_cosine", {"warmup": 2, "start_factor": 0.2, "end_factor": 0.1}),
    "no_warmup": ("warmup_cosine", {"warmup": 0}),
    "exponential": ("exponential", {"decay_rate": 0.5, "period": 2}),
    "stairs": (
        "exponential",
        {"decay_rate": 0.5, "period": 10, "unit": "steps", "staircase": True},
    ),
    "piecewise": ("piecewise", {"boundaries": [1, 2], "factors": [1, 0.5, 0.25]}),
    "exact": ("piecewise", {"boundaries": [10], "factors": [1, 0.5], "unit": "steps"}),
    "one_cycle": ("one_cycle", {}),
}


def half_cosine(share: float, end: float) -> float:
    return RATE * (end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


EXPECTED = {
    "cosine": lambda step: half_cosine(step / 50, 0.1),
    "fixed": lambda step: half_cosine(step / 20, 0),
    "warmup": lambda step: (
        RATE * (0.2 + 0.8 * step / 25) if step < 25 else half_cosine((step - 25) / 25, 0.1)
    ),
    "no_warmup": lambda step: half_cosine(step / 50, 0),
    "exponential": lambda step: RATE * 0.5 ** (step / 25),
    "stairs": lambda step: RATE * 0.5 ** (step // 10),
    # The first update after one epoch of 12.5 is the 13th of the run.
    "piecewise": lambda step: RATE * (1 if step < 13 else 0.5 if step < 25 else 0.25),
    "exact": lambda step: RATE * (1 if step < 10 else 0.5),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_schedule_gives_the_rates_of_its_formula(tmp_path, backend):
    found = worker(backend).run(
        tmp_path, SCRIPT.replace("CASES", repr(CASES)).replace("STEPS", repr(STEPS))
    )
    for name, formula in EXPECTED.items():
        assert found[name] == pytest.approx(
            [formula(step) for step in STEPS], rel=2e-6, abs=1e-8
        ), name
    cycle = worker("torch").run(tmp_path, SCRIPT.replace("CASES", "{}"))["torch"]
    assert found["one_cycle"] == pytest.approx(
        [cycle[min(step, 49)] for step in STEPS], rel=2e-6, abs=1e-8
    )


BAD = {
    ("cosine", "length=0"): "schedule.length must be above 0",
    ("cosine", "length=long"): "schedule.length must be a number of epochs, got 'long'",
    ("cosine", "unit=days"): "schedule.unit must be epochs or steps, got 'days'",
    ("cosine", "end_factor=-1"): "schedule.end_factor must be a number from 0, got -1.0",
    ("warmup_cosine", "warmup=3"): "schedule.warmup=3 epochs are 48 steps, but the schedule has 32",
    ("exponential", "period=0"): "schedule.period must be above 0",
    ("piecewise", "boundaries=[2,1]"): "schedule.boundaries must ascend from above 0, got [2, 1]",
    ("piecewise", "boundaries=[1]"): "schedule.factors must be 2, one more than boundaries; got 3",
    ("one_cycle", "rise=1"): "schedule.rise=1.0 of 32 steps leaves none for the rise or the fall",
}
SMALL = ("model.units=8", "data.limit=2000", "epochs=2")


def test_wrong_values_are_refused_before_training(tmp_path):
    for (schedule, argument), message in BAD.items():
        with pytest.raises(Refused) as caught:
            worker("jax").train(tmp_path, *SMALL, f"schedule={schedule}", f"schedule.{argument}")
        assert caught.value.message == message
        assert caught.value.exit_code == 2
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_length_may_be_a_fraction_of_an_epoch(tmp_path):
    words = (*SMALL, "data.limit=1024", "validate_every=4", "schedule=warmup_cosine")  # of 8 steps
    found, expected = (
        [row["learning_rate"] for row in worker("jax").train(tmp_path, *words, *length)["rows"]]
        for length in (["schedule.warmup=0.5"], ["schedule.warmup=4", "schedule.unit=steps"])
    )
    assert found == expected
    assert len(found) == 4


@pytest.mark.parametrize("backend", slow_on("tensorflow", "torch"))
def test_the_loops_of_the_linear_classifier_refuse_a_schedule(tmp_path, backend):
    loop = {"jax": "value_and_grad", "tensorflow": "tape", "torch": "module"}[backend]
    linear = ("experiment=linear_classifier", f"loop=linear_{loop}", "schedule=cosine")
    with pytest.raises(Refused, match="keeps one learning rate"):
        worker(backend).train(tmp_path, *linear)


def test_a_resumed_run_refuses_epochs_that_move_its_schedule(tmp_path):
    small = (*SMALL, "data.limit=600")
    run = worker("torch").train(tmp_path, *small, "schedule=cosine")
    with pytest.raises(Refused, match="made for the 2 epochs of this run") as caught:
        worker("torch").resume(tmp_path, run["path"], "epochs=4")
    assert caught.value.exit_code == 2
    with pytest.raises(Refused, match="the run follows schedule=cosine"):
        worker("torch").resume(tmp_path, run["path"], "epochs=4", "optimizer.learning_rate=0.1")
    fixed = ("schedule=cosine", "schedule.length=4", "~callbacks.early_stopping")
    whole = worker("torch").train(tmp_path, *small, *fixed, "epochs=4")
    part = worker("torch").train(tmp_path, *small, *fixed)
    rest = worker("torch").resume(tmp_path, part["path"], "epochs=4")
    for row, other in zip(rest["rows"], whole["rows"], strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


CALLBACK = """
import keras

class Mine(keras.callbacks.LearningRateScheduler):
    def __init__(self):
        super().__init__(lambda epoch, rate: rate / 2)
"""


def test_a_callback_that_derives_from_a_scheduler_is_refused_before_training(tmp_path):
    (tmp_path / "my_rate.py").write_text(CALLBACK)
    mine = (*SMALL, "+callbacks.mine._target_=my_rate.Mine")
    with pytest.raises(Refused, match="mine sets the learning rate") as caught:
        worker("jax").train(tmp_path, *mine, "schedule=cosine")
    assert caught.value.exit_code == 2
    rows = worker("jax").train(tmp_path, *mine)["rows"]
    assert rows[1]["learning_rate"] == pytest.approx(rows[0]["learning_rate"] / 2)
