"""dlrun tune batch_size: sizes in processes of their own, within memory."""

import subprocess
import sys

import pytest

from dlrun.errors import DlrunError, RunInterrupted
from dlrun.proofs.memory_guard import MemoryGuard
from dlrun.report.batch_sizes import conclusion
from dlrun.system import memory, process


@pytest.mark.trains
def test_each_size_is_measured_and_one_is_recommended(dlrun):
    small = ("model=mnist_mlp", "model.units=8", "data.limit=70", "backend=jax", "loop=raw")
    result = dlrun.json("tune", "batch_size", *small, "--min", 48, "--method", "binary")
    rows = result["rows"]
    # 96 is more than the data; what lies between is the data itself.
    assert [row["batch_size"] for row in rows] == [48, 70]
    for row in rows:
        assert row["fits"]
        assert row["examples_per_second"] == pytest.approx(row["batch_size"] / row["step_seconds"])
        assert row["peak_memory_bytes"] > 1e7
    assert (result["largest"], result["stopped_by"], result["train_samples"]) == (70, "data", 70)
    assert result["use"] == [f"batch_size={result['use'][0].partition('=')[2]}"]
    assert result["recommendation"].startswith(f"use    {result['use'][0]}: ")
    assert "the training set has 70 samples" in result["recommendation"]


def measured(*rates, **bounds):
    """Sizes 1, 2, 4, ... with so many examples per second."""
    rows = [
        {"batch_size": 2**n, "fits": bool(rate), "examples_per_second": rate}
        for n, rate in enumerate(rates)
    ]
    return conclusion({"rows": rows, "stopped_by": "memory", "max": None, **bounds})


def test_the_smallest_of_the_fast_sizes_is_recommended():
    found = measured(50, 96, 100, 80, None, train_samples=9)
    assert (found["use"], found["fastest"], found["largest"]) == (["batch_size=2"], 4, 8)
    assert found["recommendation"] == (
        "use    batch_size=2: 96 examples/s, at least 95% of the most, 100 with 4; the largest that"
        " fits is 8, as more runs out of memory"
    )


def test_a_size_that_would_not_fit_is_not_tried():
    guard = MemoryGuard(limit=1_000_000_000)
    rows = [{"batch_size": n, "peak_memory_bytes": 400_000_000 + 1_000_000 * n} for n in (100, 200)]
    guard.check(400, rows, "cpu:0")
    with pytest.raises(DlrunError, match=r"it would take about 1\.20 GB, and 1\.00 GB may be used"):
        guard.check(800, rows, "cpu:0")
    guard.check(800, rows, "gpu:0")  # whose memory is another


def test_a_process_that_takes_more_is_noticed_and_a_signal_ends_it():
    assert 0 < memory.available_bytes() <= process.total_memory_bytes()
    code = "x = bytearray(300_000_000)\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        MemoryGuard(limit=10**12).watch(child.pid)
        with pytest.raises(DlrunError, match=r"takes more than the 0\.20 GB"):
            MemoryGuard(limit=200_000_000).watch(child.pid)
        with pytest.raises(RunInterrupted):
            MemoryGuard([2]).watch(child.pid)
        child.kill()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--min", "2.5"], "--min 2.5: expected a whole number"),
        (["--min", "64", "--max", "2"], "--min 64 --max 2"),
        (["--steps", "20"], "--steps is an option of 'dlrun tune learning_rate'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(dlrun, words, named):
    done = dlrun.here("tune", "batch_size", *words)
    assert done.returncode == 2
    assert named in done.stderr


def test_what_is_not_measured_in_time_says_how_to_get_more(dlrun):
    done = dlrun("tune", "batch_size", "data.limit=70", "backend=torch", "--budget", "1.5")
    assert done.returncode == 1
    assert "hint: " in done.stderr and "--budget 300" in done.stderr
