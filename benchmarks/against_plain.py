"""dlrun train against a plain Keras script doing the same work, taking turns.

python benchmarks/against_plain.py [--backends jax,tensorflow,torch] [--runs 5] [--epochs 5]
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from dlrun.data.mnist import FILE

HERE = Path(__file__).parent
FIGURES = {
    "first_batch_seconds": "start to first batch, s",
    "epoch_seconds": "steady epoch, s",
    "peak_memory_bytes": "peak memory, MB",
}


def run(command, env, cwd):
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def plain(backend, epochs, env, home):
    command = [sys.executable, HERE / "plain.py", FILE, home, str(epochs)]
    return run(command, {**env, "KERAS_BACKEND": backend}, home)


def dlrun(backend, epochs, env, home):
    patience = f"callbacks.early_stopping.patience={epochs}"
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}"]
    result = run([*command, f"epochs={epochs}", patience, "--json"], env, home)
    with (home / result["run_dir"] / "metrics.csv").open() as file:
        first_epoch = float(next(csv.DictReader(file))["seconds"])
    seconds = result["seconds"]
    return {
        "first_batch_seconds": seconds["startup"] + seconds["first_step"],
        "epoch_seconds": (seconds["train"] - first_epoch) / max(epochs - 1, 1),
        "peak_memory_bytes": result["peak_memory_bytes"],
        "accuracy": result["test"]["accuracy"],
    }


def compare(backend, runs, epochs, *, cold=False):
    """Run pairs and print a line for each figure; cold: no compiled function is kept."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)

        def env(cache):
            return {**os.environ, "KERAS_HOME": folder, "XDG_CACHE_HOME": f"{folder}/{cache}"}

        if not cold:  # fill the caches: the disk's, and jax's own
            dlrun(backend, 1, env("kept"), home)
            plain(backend, 1, env("kept"), home)
        pairs = []
        for number in range(runs):
            cache = f"new-{number}" if cold else "kept"
            ours = dlrun(backend, epochs, env(cache), home)
            pairs.append((ours, plain(backend, epochs, env(cache), home)))
    name = f"{backend}, cold" if cold else backend
    for key, told in FIGURES.items():
        scale = 1e-6 if key.endswith("bytes") else 1
        ours, theirs = ([pair[i][key] * scale for pair in pairs] for i in (0, 1))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        print(
            f"{name:<11} {told:<24} dlrun {statistics.median(ours):8.2f}"
            f"  plain {statistics.median(theirs):8.2f}"
            f"  ratio {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
        if cold:
            return  # a cold cache is a matter of the start alone
    ours, theirs = (statistics.median(pair[i]["accuracy"] for pair in pairs) for i in (0, 1))
    told = f"test accuracy, {epochs} epochs"
    print(f"{name:<11} {told:<24} dlrun {ours:8.4f}  plain {theirs:8.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    chosen = parser.parse_args()
    for backend in chosen.backends.split(","):
        compare(backend, chosen.runs, chosen.epochs)
        if backend == "jax":
            compare(backend, chosen.runs, 1, cold=True)


if __name__ == "__main__":
    main()
