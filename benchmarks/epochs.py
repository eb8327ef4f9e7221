"""What an epoch costs when there are many: the default callbacks against none, in turns.

The model is the linear classifier of ``experiment=linear_classifier``, one step per epoch, so that
nearly all of the time is dlrun's. Prints the ratio of the whole training, with and without
callbacks, and of the last tenth of the epochs to the first tenth with them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

COMMON = ("experiment=linear_classifier", "~callbacks.decision_line")
NONE = tuple(f"~callbacks.{name}" for name in ("checkpoint", "early_stopping", "csv", "progress"))
DEFAULT = ("callbacks.early_stopping.patience=1000000000",)


def train(cwd, *overrides):
    """Train; returns the result."""
    command = [str(Path(sys.executable).with_name("dlrun")), "train", *COMMON, *overrides, "--json"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def tenths(log):
    """The seconds that the first and the last tenth of the epochs took, by the lines of the log."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if " epoch  " in line]
    times = [datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f") for line in lines]
    tenth = len(times) // 10
    return [(times[n + tenth] - times[n]).total_seconds() for n in (0, len(times) - tenth - 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--loop", default="raw")
    options = parser.parse_args()
    same = [f"{key}={getattr(options, key)}" for key in ("epochs", "backend", "loop")]
    whole, later = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.pairs):
            pair = {}
            kinds = [("none", NONE), ("default", DEFAULT)]
            for name, overrides in kinds if number % 2 else kinds[::-1]:
                result = train(folder, *same, *overrides)
                pair[name] = result["seconds"]["train"]
                if name == "default":
                    first, last = tenths(Path(folder, result["run_dir"], "dlrun.log"))
                    later.append(last / first)
            whole.append(pair["default"] / pair["none"])
            print(f"{pair['none']:.1f} s, {pair['default']:.1f} s", file=sys.stderr)
    print(f"default callbacks / none    {statistics.median(whole):.2f}")
    print(f"last tenth / first tenth    {statistics.median(later):.2f}")


if __name__ == "__main__":
    main()
