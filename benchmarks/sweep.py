"""24 short runs: dlrun sweep, a shell loop of plain Keras scripts, and Hydra's joblib launcher.

Eight learning rates on three backends, 6,000 samples, one epoch; then twelve runs on jax alone.

    python benchmarks/sweep.py [--rounds 1]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dlrun.data.mnist import FILE
from dlrun.system import process

HERE = Path(__file__).parent
DLRUN = Path(sys.executable).with_name("dlrun")
BACKENDS = ("jax", "tensorflow", "torch")
RATES = ("1e-4", "2e-4", "5e-4", "1e-3", "2e-3", "5e-3", "1e-2", "2e-2")
SHORT = ("data.limit=6000", "epochs=1")


def timed(command, env, cwd):
    began = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return time.perf_counter() - began, done.stdout


def sweep(env, home, *options):
    command = [DLRUN, "sweep", f"backend={','.join(BACKENDS)}", *SHORT]
    command += [f"optimizer.learning_rate={','.join(RATES)}", *options, "--json"]
    seconds, printed = timed(command, env, home)
    return seconds, [run["test"]["loss"] for run in json.loads(printed)["runs"]]


def scripts(env, home):
    """One after the other, as in a shell loop: each has all cores."""
    total = 0.0
    for backend in BACKENDS:
        for rate in RATES:
            command = [sys.executable, HERE / "plain.py", FILE, home, "1", "6000", rate]
            total += timed(command, {**env, "KERAS_BACKEND": backend}, home)[0]
    return total


def jax_alone(env, home):
    """Seconds of each run but the first."""
    command = [DLRUN, "sweep", "backend=jax", "seed=range(12)", *SHORT, "--jobs", "1", "--json"]
    _, printed = timed(command, env, home)
    runs = json.loads(printed)["runs"]
    return sorted(run["seconds"]["total"] for run in runs[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "KERAS_HOME": folder, "XDG_CACHE_HOME": f"{folder}/cache"}
        sweep(env, home)  # fills the caches
        for _ in range(rounds):
            ours, losses = sweep(env, home)
            joblib, others = sweep(env, home, "--launcher", "joblib")
            plain = scripts(env, home)
            print(f"{process.cores()} cores  24 runs, s: dlrun sweep {ours:.1f}", end="  ")
            print(f"plain scripts {plain:.1f} ({plain / ours:.1f} times)", end="  ")
            print(f"joblib {joblib:.1f} ({joblib / ours:.1f} times)", end="  ")
            print(f"losses {'equal' if losses == others else 'differ'}", flush=True)
            each = jax_alone(env, home)
            print(f"12 runs on jax, s after the first: {each[len(each) // 2]:.2f}", end="  ")
            print(f"({each[0]:.2f} to {each[-1]:.2f})", flush=True)


if __name__ == "__main__":
    main()
