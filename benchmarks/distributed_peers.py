"""A run on two devices against what a user would write for them, in turn.

On torch the peer is Lightning's DDP in two processes, on jax ``fit`` under Keras' DataParallel;
``plain_distributed.py`` holds both. Compared are steady epochs, with validation and checkpoint, of
the same network on the same number of samples, in batches of the same size, on the same two cores.

python benchmarks/distributed_peers.py [--peers lightning,keras] [--loops fit,raw] [--epochs 5]
    [--batch-size 512] [--runs 5]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import dlrun.data
from distribution import SPREAD, measure

HERE = Path(__file__).parent
MNIST = Path(dlrun.data.__file__).with_name("mnist.npz")
BACKENDS = {"lightning": "torch", "keras": "jax"}


def measure_peer(how, epochs, batch_size, cores, env, home):
    """The median steady epoch, in seconds."""
    command = ["taskset", "-c", cores, sys.executable, HERE / "plain_distributed.py", how, MNIST]
    command += [home, str(epochs), str(batch_size)]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return statistics.median(json.loads(done.stdout.splitlines()[-1])[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default="lightning,keras")
    parser.add_argument("--loops", default="fit,raw")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    with tempfile.TemporaryDirectory() as folder:
        home, env = Path(folder), {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        for how in chosen.peers.split(","):
            loops = {loop: [] for loop in chosen.loops.split(",")}
            for _ in range(chosen.runs):
                peer = measure_peer(how, chosen.epochs, chosen.batch_size, cores, env, home)
                for loop, ratios in loops.items():
                    words = [f"backend={BACKENDS[how]}", f"loop={loop}", "model=mnist_mlp", SPREAD]
                    words += [f"batch_size={chosen.batch_size}", f"epochs={chosen.epochs}"]
                    seconds, *_ = measure([*words, "device.count=2"], cores, env, home)
                    ratios.append(seconds / peer)
            for loop, ratios in loops.items():
                print(
                    f"{BACKENDS[how]} {loop:<4} {statistics.median(ratios):.2f} of {how}'s epoch"
                    f"  ({min(ratios):.2f} to {max(ratios):.2f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
