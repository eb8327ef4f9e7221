"""A training with trackers against the same one without, taking turns.

Compared are the steady epochs of MNIST, the second half of them: in the first the tracker's library
is imported and its database made. The last column is the whole command.

With ``--cpu`` both run at once, an epoch of each in turn. The processor's time is compared, which
other work on the machine hardly changes: that of the training, and that of the trackers' process as
a share of it.

python benchmarks/trackers.py [--backends jax,tensorflow,torch] [--loops fit,raw] [--runs 5]
    [--trackers mlflow] [--every-steps 50] [--cpu]
"""

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from against_plain import run
from turns import cpu_seconds, take_turns

WARM = 2  # epochs, in which the tracker's library is imported and its database made


def measure(backend, loop, epochs, words, env, home):
    """The median of the second half of the epochs, and the whole command, in seconds."""
    began = time.perf_counter()
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}", "--json"]
    same = ["model=mnist_mlp", f"loop={loop}", f"epochs={epochs}", "~callbacks.early_stopping"]
    result = run([*command, *same, *words], env, home)
    whole = time.perf_counter() - began
    with (home / result["run_dir"] / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(seconds[epochs // 2 :]), whole, result["test"]["loss"]


def measure_cpu(backend, loop, epochs, words, home):
    """The ratio of each pair of epochs, and the trackers' process as a share of the training."""
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}", "--quiet"]
    command += ["model=mnist_mlp", f"loop={loop}", f"epochs={epochs + 2}"]
    command += ["~callbacks.early_stopping", "+callbacks.turns._target_=turn_callback.TakeTurns"]
    of_trackers = {}

    def clock(process):
        of_trackers.setdefault(process, []).append(sum(map(cpu_seconds, children(process))))
        return cpu_seconds(process)

    both = {"tracked": [*command, *words], "without": command}
    seconds = take_turns(both, epochs, home, clock)
    tracked, without = (seconds[name][WARM:] for name in both)
    beside = next(iter(of_trackers.values()))[2 * WARM :]
    return [a / b for a, b in zip(tracked, without, strict=True)], (
        (beside[-1] - beside[0]) / sum(tracked)
    )


def children(process):
    """The processes that one has started."""
    found = [task.read_text().split() for task in Path(f"/proc/{process}/task").glob("*/children")]
    return [int(number) for numbers in found for number in numbers]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--loops", default="fit,raw")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--trackers", default="mlflow")
    parser.add_argument("--every-steps", type=int)
    parser.add_argument("--cpu", action="store_true", help="the processor's seconds")
    chosen = parser.parse_args()
    words = [f"tracker=[{chosen.trackers}]"]
    for name in chosen.trackers.split(","):
        if chosen.every_steps:
            words.append(f"tracker.{name}.every_steps={chosen.every_steps}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "KERAS_HOME": folder, "XDG_CACHE_HOME": f"{folder}/cache"}
        for backend in chosen.backends.split(","):
            for loop in chosen.loops.split(","):
                if chosen.cpu:
                    ratios, beside = measure_cpu(backend, loop, chosen.epochs, words, home)
                    low, middle, high = statistics.quantiles(ratios, n=4)
                    print(
                        f"{backend:<11} {loop:<5} training with trackers {middle:6.3f} of without"
                        f"  (half of them {low:.3f} to {high:.3f})"
                        f"  their process {beside:.2%} of the training",
                        flush=True,
                    )
                    continue
                pairs = []
                for _ in range(chosen.runs):
                    tracked = measure(backend, loop, chosen.epochs, words, env, home)
                    without = measure(backend, loop, chosen.epochs, [], env, home)
                    assert tracked[2] == without[2], (tracked, without)
                    pairs.append((tracked, without))
                ratios = [tracked[0] / without[0] for tracked, without in pairs]
                more = statistics.median(tracked[1] - without[1] for tracked, without in pairs)
                epoch = statistics.median(without[0] for _, without in pairs)
                print(
                    f"{backend:<11} {loop:<5} epoch without {epoch:6.3f} s"
                    f"  with trackers {statistics.median(ratios):6.3f} of it"
                    f"  ({min(ratios):.3f} to {max(ratios):.3f})"
                    f"  command {more:+.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
