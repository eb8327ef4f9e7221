"""dlrun's raw loop against the best hand-written loop, and against fit, taking turns.

python benchmarks/raw_loops.py [--backends jax,tensorflow,torch] [--epochs 20]
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from turns import take_turns

HERE = Path(__file__).parent


def dlrun(backend, loop, epochs):
    # Nothing but training, as by hand.
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}"]
    command += [f"loop={loop}", f"epochs={epochs + 1}", "data.validation_samples=0"]
    command += ["task.monitor=loss", "~callbacks.checkpoint", "~callbacks.early_stopping"]
    return [*command, "+callbacks.turns._target_=turn_callback.TakeTurns", "--quiet"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--epochs", type=int, default=20, help="of each, after the first")
    chosen = parser.parse_args()
    for backend in chosen.backends.split(","):
        commands = {
            "raw": dlrun(backend, "raw", chosen.epochs),
            "by hand": [sys.executable, HERE / "by_hand.py", backend],
            "fit": dlrun(backend, "fit", chosen.epochs),
        }
        with tempfile.TemporaryDirectory() as folder:
            seconds = take_turns(commands, chosen.epochs, Path(folder))
        medians = "  ".join(f"{name} {statistics.median(s):.2f}" for name, s in seconds.items())
        print(f"{backend:<11} epoch, s: {medians}  speed of raw over", end="")
        for name in ("by hand", "fit"):
            pairs = zip(seconds[name], seconds["raw"], strict=True)
            low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4)
            print(f"  {name} {middle:.2f} (half of them {low:.2f} to {high:.2f})", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
