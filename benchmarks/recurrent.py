"""LSTM and GRU of Keras on torch's CPU in each loop against torch.nn's, epoch by epoch.

python benchmarks/recurrent.py [--kinds lstm,gru] [--loops fit,train_step,raw] [--epochs 10]
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from recurrent_parts import BATCH, UNITS
from turns import take_turns

HERE = Path(__file__).parent


def dlrun(kind, loop, epochs, *, masked=False):
    # Nothing but training, as by hand.
    command = [Path(sys.executable).with_name("dlrun"), "train", "backend=torch", "device=cpu"]
    command += [f"loop={loop}", f"epochs={epochs + 1}", f"batch_size={BATCH}", "data=function"]
    command += ["data.function=recurrent_parts.sequences", "data.validation=0", "data.test=128"]
    command += ["model=mnist_mlp", f"model.units={UNITS}"]
    command += ["model._target_=recurrent_parts.keras_model", f"+model.kind={kind}"]
    command += [f"+model.masked={masked}", "task=classification", "task.monitor=loss"]
    command += ["~callbacks.checkpoint", "~callbacks.early_stopping"]
    return [*command, "+callbacks.turns._target_=turn_callback.TakeTurns", "--quiet"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default="lstm,gru")
    parser.add_argument("--loops", default="fit,train_step,raw")
    parser.add_argument("--epochs", type=int, default=10, help="of each, after the first")
    chosen = parser.parse_args()
    for kind in chosen.kinds.split(","):
        loops = chosen.loops.split(",")
        commands = {loop: dlrun(kind, loop, chosen.epochs) for loop in loops}
        commands["masked"] = dlrun(kind, loops[0], chosen.epochs, masked=True)
        commands["torch.nn"] = [sys.executable, HERE / "recurrent_parts.py", kind]
        with tempfile.TemporaryDirectory() as folder:
            seconds = take_turns(commands, chosen.epochs, Path(folder))
        for name in (*loops, "masked"):
            pairs = zip(seconds[name], seconds["torch.nn"], strict=True)
            low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4)
            median = statistics.median(seconds[name])
            print(f"{kind:<5} {name:<11} epoch {median:.2f} s  time over torch.nn {middle:.2f}")
            print(f"{'':17} half of them {low:.2f} to {high:.2f}", flush=True)


if __name__ == "__main__":
    main()
