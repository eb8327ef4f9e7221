"""How long dlrun takes to plan 1,000 paired runs, each with its config composed and checked.

python benchmarks/plan_sweep.py [--runs 1000] [--rounds 5]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from dlrun.sweeps.plan import plan
from dlrun.system.process import cores

DLRUN = str(Path(sys.executable).with_name("dlrun"))


def seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rates = ",".join(f"{1e-5 * (n + 1):.6g}" for n in range(options.runs))
    sizes = ",".join(str(16 + n) for n in range(options.runs))
    pairs = f"pair=zip(optimizer.learning_rate=[{rates}],batch_size=[{sizes}])"
    # The first plan of a process reads the options.
    plan(["seed=1,2"])
    planned = statistics.median(seconds(lambda: plan([pairs])) for _ in range(options.rounds))
    command = [DLRUN, "sweep", pairs, "--dry-run"]
    whole = statistics.median(
        seconds(lambda: subprocess.run(command, capture_output=True, check=True))
        for _ in range(options.rounds)
    )
    one = seconds(lambda: plan(["seed=1", "optimizer.learning_rate=0.5"]))
    print(f"{options.runs:,} paired runs, {cores()} cores, the median of {options.rounds}")
    print(f"{planned:.3f} s  to plan them; one run alone takes {one:.3f} s")
    print(f"{whole:.3f} s  dlrun sweep pair=zip(...) --dry-run, the whole command")


if __name__ == "__main__":
    main()
