"""Validation every 100 steps against the same number of validations by epoch, taking turns.

One run validates every 100 steps on 12,900 samples of MNIST, of which a pass is 100.8 steps, so
that hardly any validation comes where a pass ends. The other has 12,800 samples, so that each of
its epochs is a pass of 100 steps. (Of more samples, fewer stay in the processor's cache.) Both
evaluate the same 10,000 samples and save a checkpoint each time. Compared are 100 steps with a
validation.

python benchmarks/validate_every.py [--backends jax,tensorflow,torch] [--loops fit,train_step,raw]
    [--epochs 30] [--cpu]
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from turns import cpu_seconds, take_turns


def dlrun(backend, loop, epochs, *words):
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}"]
    command += [f"loop={loop}", "batch_size=128", f"max_steps={100 * (epochs + 1)}"]
    command += ["~callbacks.early_stopping", "callbacks.checkpoint.every_seconds=0"]
    return [*command, "+callbacks.turns._target_=turn_callback.TakeTurns", "--quiet", *words]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--loops", default="fit,train_step,raw")
    parser.add_argument("--epochs", type=int, default=30, help="of each, after the first")
    parser.add_argument("--cpu", action="store_true", help="the processor's seconds")
    chosen = parser.parse_args()
    clock = {"clock": cpu_seconds} if chosen.cpu else {}
    for backend in chosen.backends.split(","):
        for loop in chosen.loops.split(","):
            of = backend, loop, chosen.epochs
            commands = {
                "by steps": dlrun(*of, "data.limit=12900", "validate_every=100"),
                "by epoch": dlrun(*of, "data.limit=12800"),
            }
            with tempfile.TemporaryDirectory() as folder:
                seconds = take_turns(commands, chosen.epochs, Path(folder), **clock)
            medians = "  ".join(f"{name} {statistics.median(s):.3f}" for name, s in seconds.items())
            pairs = zip(seconds["by steps"], seconds["by epoch"], strict=True)
            low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4)
            print(f"{backend:<11} {loop:<10} 100 steps and a validation, s: {medians}", end="")
            whole = sum(seconds["by steps"]) / sum(seconds["by epoch"])
            told = f"half of them {low:.3f} to {high:.3f}; of all together {whole:.3f}"
            print(f"  ratio {middle:.3f} ({told})", flush=True)


if __name__ == "__main__":
    main()
