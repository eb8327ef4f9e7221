"""The GPUs of a sweep's runs that take several each."""

from types import SimpleNamespace

import pytest

from dlrun.config.compose import compose
from dlrun.errors import DlrunError
from dlrun.sweeps.slots import choose_slots
from dlrun.workers.client import _environment
from dlrun.workers.key import ProcessKey


def key(count):
    several = ["distribution=data_parallel"] if count > 1 else []
    return ProcessKey.of(
        compose(["backend=torch", "device=gpu", f"device.count={count}", *several])
    )


@pytest.mark.parametrize(
    ("gpus", "counts", "parallel"),
    [("0,1,2,3", [2, 2, 2], 2), ("4,5,6,7,8", [1, 2], 2), ("0,1,2", [3], 1), ("0,1,2", [1], 3)],
)
def test_gpus_are_shared_out_and_none_is_given_twice(gpus, counts, parallel, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    jobs = [SimpleNamespace(key=key(count)) for count in counts]
    assert choose_slots(jobs, None) == parallel
    given = [
        _environment(jobs[0].key, slot, parallel, 1, max(counts))["CUDA_VISIBLE_DEVICES"].split(",")
        for slot in range(parallel)
    ]
    assert all(len(of_slot) == max(counts) for of_slot in given)
    together = [gpu for of_slot in given for gpu in of_slot]
    assert len(set(together)) == len(together) and set(together) <= set(gpus.split(","))


def test_more_jobs_than_there_are_gpus_for_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    jobs = [SimpleNamespace(key=key(2))]
    assert choose_slots(jobs, 1) == 1
    with pytest.raises(DlrunError, match="runs that take 2 GPUs share none, and there are 4"):
        choose_slots(jobs, 3)
