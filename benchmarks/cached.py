"""Training from the data cache against the same arrays in memory, taking turns.

Makes a CSV of 300,000 rows and 40 columns. ``data=csv`` maps its arrays from the cache; a function
copies the same ones into memory first. Compared are steady epochs, on each backend and loop.

python benchmarks/cached.py [--backends jax,tensorflow,torch] [--loops fit,raw] [--runs 3]
"""

import argparse
import csv
import os
import statistics
import sys
import tempfile
from pathlib import Path

from against_plain import run
from tables import make_table

EPOCHS = 7
IN_MEMORY = """
from dataclasses import replace

import numpy as np

from dlrun.data.table import table
from dlrun.data.tree import tree_map


def load():
    data = table(path="table.csv", target="target").dataset()
    splits = {split: getattr(data, split) for split in ("train", "validation", "test")}
    return replace(data, **{name: of.map(np.array) for name, of in splits.items()})
"""


def epoch_seconds(overrides, backend, loop, env, home):
    """The median time of the epochs after the first one, validation included."""
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}", *overrides]
    same = [f"loop={loop}", f"epochs={EPOCHS}", "batch_size=1024", "model=tabular"]
    result = run([*command, *same, "task=regression", "--json"], env, home)
    with (home / result["run_dir"] / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(seconds[1:]), result["test"]["loss"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--loops", default="fit,train_step,raw")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=300_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "KERAS_HOME": folder, "XDG_CACHE_HOME": f"{folder}/cache"}
        make_table(home / "table.csv", chosen.rows)
        (home / "in_memory.py").write_text(IN_MEMORY)
        cache = ["data=csv", "data.path=table.csv", "data.target=target"]
        memory = ["data=function", "data.function=in_memory.load"]
        for backend in chosen.backends.split(","):
            for loop in chosen.loops.split(","):
                pairs = []
                for number in range(chosen.runs):
                    first = [cache, memory] if number % 2 == 0 else [memory, cache]
                    found = [epoch_seconds(data, backend, loop, env, home) for data in first]
                    (mapped, loss), (copied, same) = found if number % 2 == 0 else found[::-1]
                    assert abs(loss - same) < 1e-6, (loss, same)
                    pairs.append((mapped, copied))
                speeds = [copied / mapped for mapped, copied in pairs]
                mapped, copied = (statistics.median(of) for of in zip(*pairs, strict=True))
                print(
                    f"{backend:<11} {loop:<11} mapped {mapped:6.2f} s  in memory {copied:6.2f} s"
                    f"  speed {statistics.median(speeds):5.2f}"
                    f"  ({min(speeds):.2f} to {max(speeds):.2f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
