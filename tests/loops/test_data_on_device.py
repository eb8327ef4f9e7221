"""``loop.data_on_device=true`` gathers the batches on the device, and changes no number."""

import pytest

from conftest import slow
from trainings import BACKENDS, Refused, worker

SMALL = ("loop=raw", "model.units=16", "epochs=2")
SOURCES = {
    # The last batch of each epoch is smaller, and alone in its call.
    "pixels": ("data.limit=1000", "batch_size=96"),
    "several inputs and outputs": ("model=ticket_classifier", "data.limit=600"),
    "weights": ("data.limit=1000", "task.class_weight=balanced"),
    "drawn with repeats": ("data.limit=1000", "task.sampling=oversample"),
    "an epoch of steps": ("data.limit=1000", "steps_per_epoch=5", "epochs=3"),
}


# Each source on one backend, and each backend; the others are left to `pytest -m slow`.
ONCE = {
    "pixels": "jax",
    "several inputs and outputs": "torch",
    "weights": "tensorflow",
    "drawn with repeats": "torch",
    "an epoch of steps": "torch",
}
EACH = [
    (backend, source) if ONCE[source] == backend else slow(backend, source)
    for backend in BACKENDS
    for source in SOURCES
]


@pytest.mark.parametrize(("backend", "source"), EACH)
def test_the_numbers_are_those_of_batches_from_memory(tmp_path, backend, source):
    quick = ("loop.compile=graph",) if backend == "tensorflow" else ()  # XLA compiles for seconds
    words = (*SMALL, *SOURCES[source], *quick)
    memory, device = (
        worker(backend).train(tmp_path, *words, f"loop.data_on_device={value}")
        for value in ("false", "true")
    )
    for left, right in zip(memory["rows"], device["rows"], strict=True):
        assert left | {"seconds": right["seconds"]} == right
    assert memory["test"] == device["test"]


@pytest.mark.slow
def test_a_run_goes_on_from_within_an_epoch(tmp_path, dlrun):
    result = dlrun.within(  # kills it within an epoch
        "jax", "verify-resume", "backend=jax", *SMALL, "data.limit=1000", "loop.data_on_device=true"
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loop.data_on_device=gpu"], "must be auto, true or false, got gpu"),
        (
            ["loop.data_on_device=true", "distribution=data_parallel", "device.count=2"],
            "loop.data_on_device=true is for a run on one device",
        ),
    ],
)
def test_what_can_not_be_done_is_refused(tmp_path, overrides, message):
    with pytest.raises(Refused) as refused:
        worker("jax").train(tmp_path, *SMALL, *overrides)
    assert message in refused.value.message
    assert refused.value.exit_code == 2
