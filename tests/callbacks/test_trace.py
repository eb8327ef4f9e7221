"""profile=trace: what the profilers write of some steps."""

import gzip
import json

import pytest

from trainings import Refused, worker

SMALL = ("model=mnist_mlp", "model.units=8", "data.limit=640", "batch_size=32", "epochs=2")
# What a step computes, by the names of each profiler.
OPERATION = {"jax": "dot", "tensorflow": "MatMul", "torch": "aten::mm"}


def events(run) -> list[dict]:
    with gzip.open(run["path"] / "trace/trace.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)["traceEvents"]


@pytest.mark.trains
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_the_trace_holds_the_steps_and_what_they_compute(tmp_path, backend):
    traced = ("profile=trace", "profile.skip=16", "profile.steps=6")
    run = worker(backend).train(tmp_path, *SMALL, *traced)
    whole = [event for event in events(run) if event.get("ph") == "X"]
    name = "ProfilerStep#" if backend == "torch" else "train"
    steps = {
        int(event.get("args", {}).get("step_num") or event["name"].partition("#")[2]): event
        for event in whole
        if event["name"].startswith(name) and "annotation" not in event.get("cat", "user")[:3]
    }
    assert sorted(steps) == list(range(17, 23))  # in both epochs, around validation
    assert all(event["dur"] > 0 for event in steps.values())
    began, ended = steps[17]["ts"], steps[22]["ts"] + steps[22]["dur"]
    operations = [event for event in whole if OPERATION[backend] in event["name"]]
    assert sum(began <= event["ts"] <= ended for event in operations) >= 6
    record = json.loads((run["path"] / "run.json").read_text())
    assert record["trace"] == {"file": "trace/trace.json.gz", "first_step": 17, "last_step": 22}
    assert "trace  steps 17 to 22: " in run["log"]
    plugin = list(run["path"].glob("trace/plugins/profile/*/*.xplane.pb"))
    assert len(plugin) == (backend != "torch")


@pytest.mark.trains
def test_several_steps_in_one_call_are_one_event_and_a_run_may_be_too_short(tmp_path):
    words = ("loop=raw", "loop.steps_per_execution=10", "profile=trace")
    run = worker("jax").train(tmp_path, *SMALL, *words)
    steps = [int(e["args"]["step_num"]) for e in events(run) if e.get("name") == "train"]
    assert steps == [11, 21, 31][: len(steps)] and len(steps) >= 2
    run = worker("jax").train(tmp_path, *SMALL, *words, "profile.skip=1000")
    assert "nothing was recorded: training had 40 steps, and profile.skip is 1000" in run["log"]
    assert not (run["path"] / "trace").exists()


def test_a_bad_number_is_refused(tmp_path):
    with pytest.raises(Refused) as caught:
        worker("jax").train(tmp_path, *SMALL, "profile=trace", "profile.steps=0")
    assert caught.value.message == "profile.steps=0: expected an integer of at least 1"
    assert caught.value.exit_code == 2
