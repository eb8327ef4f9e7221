"""How soon the commands answer that need no framework.

python benchmarks/commands.py [--runs 15]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

DLRUN = str(Path(sys.executable).with_name("dlrun"))


def seconds(command):
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    typer = [sys.executable, "-c", "import typer"]
    helped = [DLRUN, "--help"]
    wrong = [DLRUN, "train", "model=mnist_mpl", "epoch=3"]
    for command in (typer, helped, wrong):
        seconds(command)
    rounds = [[seconds(command) for command in (typer, helped, wrong)] for _ in range(runs)]
    ratio = statistics.median(h / t for t, h, _ in rounds)
    print(f"import typer    {statistics.median(t for t, _, _ in rounds):.3f} s")
    print(f"dlrun --help    {statistics.median(h for _, h, _ in rounds):.3f} s  ratio {ratio:.2f}")
    print(f"a config error  {statistics.median(w for _, _, w in rounds):.3f} s")


if __name__ == "__main__":
    main()
