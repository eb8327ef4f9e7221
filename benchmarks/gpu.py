"""What a GPU changes: raw loops on data that lie there, the first epoch, and runs side by side.

    python benchmarks/gpu.py [--rounds 3] [--runs 32] [--device cpu]

It prints one JSON object. ``--device cpu`` tries the script where there is no GPU; its figures then
say nothing about one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dlrun.data.mnist import FILE
from raw_loops import dlrun as raw_command
from turns import take_turns

HERE = Path(__file__).parent
DLRUN = Path(sys.executable).with_name("dlrun")
BATCH, SAMPLES = 128, 60_000


def run(command, home, **env):
    began = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)),
        cwd=home,
        env={**os.environ, "KERAS_HOME": str(home), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return time.perf_counter() - began, done.stdout


def raw(backend, device, epochs, home):
    """A steady epoch of loop=raw, with the data on the device and in memory, and by hand."""
    commands = {
        where: [
            *raw_command(backend, "raw", epochs),
            f"device={device}",
            f"loop.data_on_device={value}",
        ]
        for where, value in (("on the device", "true"), ("in memory", "false"))
    }
    if backend == "torch" and device != "cpu":
        commands["as a CUDA graph"] = [*commands["on the device"], "loop.compile=cuda_graph"]
    commands["by hand"] = [sys.executable, HERE / "by_hand.py", backend]
    seconds = take_turns(commands, epochs, home)
    best = "as a CUDA graph" if "as a CUDA graph" in seconds else "on the device"
    pairs = zip(seconds["by hand"], seconds[best], strict=True)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "examples_per_second": {name: round(SAMPLES / each) for name, each in medians.items()},
        "speed_over_by_hand": round(statistics.median(a / b for a, b in pairs), 3),
    }


def first_epoch(backend, device, rounds, home):
    """A command of one epoch against the plain script's, with an empty cache of compiled code."""
    ratios = []
    for number in range(rounds):
        cache = home / f"cache-{backend}-{number}"
        ours, _ = run(
            [DLRUN, "train", f"backend={backend}", f"device={device}", "loop=raw", "epochs=1"],
            home,
            XDG_CACHE_HOME=str(cache),
        )
        plain, _ = run(
            [sys.executable, HERE / "plain.py", FILE, home, "1", str(SAMPLES), "1e-3"],
            home,
            KERAS_BACKEND=backend,
        )
        ratios.append(ours / plain)
    return round(statistics.median(ratios), 3)


def side_by_side(device, runs, rounds, home):
    """``sweep --vectorize`` of many runs against one run, and what a warm run takes."""
    common = ["backend=jax", "loop=raw", f"device={device}", "epochs=5", "--jobs", "1", "--json"]
    ratios = []
    for _ in range(rounds):
        one, _ = run([DLRUN, "train", *common[:4]], home)
        seeds, rates = f"seed=range({runs // 2})", "optimizer.learning_rate=1e-3,2e-3"
        many, printed = run([DLRUN, "sweep", "--vectorize", seeds, rates, *common], home)
        assert json.loads(printed)["completed"] == runs
        ratios.append(many / one)
    _, printed = run([DLRUN, "sweep", "seed=range(6)", *common], home)
    each = [run["seconds"] for run in json.loads(printed)["runs"][1:]]
    beyond = statistics.median(seconds["total"] - seconds["train"] for seconds in each)
    return {
        f"{runs}_runs_over_one": round(statistics.median(ratios), 2),
        "warm_run_beyond_training_seconds": round(beyond, 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=32, help="side by side")
    parser.add_argument("--epochs", type=int, default=10, help="of each raw loop, after the first")
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--backends", default="jax,torch")
    chosen = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for backend in chosen.backends.split(","):
            found[backend] = {
                "raw": raw(backend, chosen.device, chosen.epochs, home),
                "first_epoch_over_plain": first_epoch(backend, chosen.device, chosen.rounds, home),
            }
            print(json.dumps(found[backend]), file=sys.stderr, flush=True)
        found["side by side"] = side_by_side(chosen.device, chosen.runs, chosen.rounds, home)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
