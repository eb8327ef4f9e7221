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


def compare(backend, runs, epochs):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "KERAS_HOME": folder, "XDG_CACHE_HOME": folder}
        cold = dlrun(backend, 1, env, home)  # fills the caches: the disk's, and jax's own
        plain(backend, 1, env, home)
        pairs = [
            (dlrun(backend, epochs, env, home), plain(backend, epochs, env, home))
            for _ in range(runs)
        ]
    for key, name in FIGURES.items():
        scale = 1e-6 if key.endswith("bytes") else 1
        ours, theirs = ([pair[i][key] * scale for pair in pairs] for i in (0, 1))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        print(
            f"{backend:<11} {name:<24} dlrun {statistics.median(ours):8.2f}"
            f"  plain {statistics.median(theirs):8.2f}"
            f"  ratio {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
    if backend == "jax":
        print(f"jax         first batch, cold cache  dlrun {cold['first_batch_seconds']:8.2f}")
    for i, who in enumerate(("dlrun", "plain")):
        accuracy = statistics.median(pair[i]["accuracy"] for pair in pairs)
        print(
            f"{backend:<11} test accuracy after {epochs} epochs  {who} {accuracy:.4f}", flush=True
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    chosen = parser.parse_args()
    for backend in chosen.backends.split(","):
        compare(backend, chosen.runs, chosen.epochs)


if __name__ == "__main__":
    main()
