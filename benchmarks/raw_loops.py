"""dlrun's raw loop against the best hand-written loop, and against fit, taking turns.

python benchmarks/raw_loops.py [--backends jax,tensorflow,torch] [--runs 5] [--epochs 6]
"""

import argparse
import csv
import os
import statistics
import sys
import tempfile
from pathlib import Path

from against_plain import run

HERE = Path(__file__).parent


def by_hand(backend, epochs, env, home):
    command = [sys.executable, HERE / "by_hand.py", backend, str(epochs)]
    return statistics.median(run(command, env, home)["epoch_seconds"][1:])


def dlrun(backend, loop, epochs, env, home):
    # Nothing but training, as by hand; the progress is left out by --quiet.
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}"]
    command += [f"loop={loop}", f"epochs={epochs}", "data.validation_samples=0"]
    command += ["task.monitor=loss", "~callbacks.checkpoint", "~callbacks.early_stopping"]
    result = run([*command, "--quiet", "--json"], env, home)
    with (home / result["run_dir"] / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(seconds[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    chosen = parser.parse_args()
    for backend in chosen.backends.split(","):
        with tempfile.TemporaryDirectory() as folder:
            env, home = {**os.environ, "KERAS_HOME": folder}, Path(folder)
            rounds = [
                (
                    dlrun(backend, "raw", chosen.epochs, env, home),
                    by_hand(backend, chosen.epochs, env, home),
                    dlrun(backend, "fit", chosen.epochs, env, home),
                )
                for _ in range(chosen.runs)
            ]
        raw, hand, fit = (statistics.median(column) for column in zip(*rounds, strict=True))
        speeds = {
            "by hand": [theirs / ours for ours, theirs, _ in rounds],
            "fit": [theirs / ours for ours, _, theirs in rounds],
        }
        told = "  ".join(
            f"speed over {name} {statistics.median(s):.2f} ({min(s):.2f} to {max(s):.2f})"
            for name, s in speeds.items()
        )
        print(f"{backend:<11} epoch, s: raw {raw:.2f}  by hand {hand:.2f}  fit {fit:.2f}  {told}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
