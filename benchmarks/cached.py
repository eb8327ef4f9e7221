"""Training from the data cache against the same arrays in memory, an epoch of each in turn.

Makes a CSV of 300,000 rows and 40 columns. ``data=csv`` maps its arrays from the cache; a function
copies the same ones into memory first. Compared are steady epochs with their validation, on each
backend and loop; with ``--cpu`` the processor's time, which other work on the machine hardly
changes.

python benchmarks/cached.py [--backends jax,tensorflow,torch] [--loops fit,raw] [--epochs 12]
    [--cpu]
"""

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tables import make_table
from turns import cpu_seconds, take_turns

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


def in_turn(sources, backend, loop, epochs, clock, home):
    """The seconds of each epoch after the first one, by the name of the source."""
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}", "--quiet"]
    command += [f"loop={loop}", f"epochs={epochs + 2}", "batch_size=1024", "model=tabular"]
    command += ["task=regression", "~callbacks.early_stopping"]
    command += ["+callbacks.turns._target_=turn_callback.TakeTurns"]
    commands = {name: [*command, f"name={name}", *words] for name, words in sources.items()}
    seconds = take_turns(commands, epochs, home, clock)
    common = max(1, epochs // 2)
    losses = {name: validation_losses(home / "runs" / name)[:common] for name in sources}
    assert len({tuple(of) for of in losses.values()}) == 1, losses
    return seconds


def validation_losses(runs):
    """Of the epochs of the newest run in a folder."""
    with (max(runs.iterdir()) / "metrics.csv").open() as file:
        return [row["val_loss"] for row in csv.DictReader(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--loops", default="fit,train_step,raw")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--cpu", action="store_true", help="the processor's seconds")
    chosen = parser.parse_args()
    clock = cpu_seconds if chosen.cpu else lambda process: time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        make_table(home / "table.csv", chosen.rows)
        (home / "in_memory.py").write_text(IN_MEMORY)
        sources = {
            "mapped": ["data=csv", "data.path=table.csv", "data.target=target"],
            "copied": ["data=function", "data.function=in_memory.load"],
        }
        for backend in chosen.backends.split(","):
            for loop in chosen.loops.split(","):
                of = in_turn(sources, backend, loop, chosen.epochs, clock, home)
                speeds = [c / m for m, c in zip(of["mapped"], of["copied"], strict=True)]
                low, _, high = statistics.quantiles(speeds, n=4)
                mapped, copied = (statistics.median(of[name]) for name in ("mapped", "copied"))
                print(
                    f"{backend:<11} {loop:<11} mapped {mapped:6.2f} s  in memory {copied:6.2f} s"
                    f"  speed {statistics.median(speeds):5.2f}  (half of them {low:.2f} to"
                    f" {high:.2f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
