"""Two devices with a core each against one device with one core, on the same batches, in turn.

Compared are steady epochs: without the first, in which a backend compiles. "apart" are two runs
side by side, each with a core, and half of the samples in batches of half the size, which send each
other nothing: two devices can't be faster. "one" is one device under distribution=data_parallel
against none, which should cost nothing: in processor's time, an epoch of each in turn. Test losses
must agree to 1e-3, as rounding grows over the epochs: with batches of 512, fit and raw of jax on
one device differ by 2e-4 after 50 steps. Needs taskset and two idle cores; "one" alone does not.

python benchmarks/distribution.py [--backends jax,tensorflow] [--loops fit,raw] [--models mnist_mlp]
    [--batch-size 512] [--limit 20000] [--epochs 4] [--runs 5] [--turns 20]
    [--only two,apart,one]
"""

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from against_plain import run
from turns import cpu_seconds, take_turns

SPREAD = "distribution=data_parallel"


def measure(words, cores, env, home):
    """The median steady epoch and the time to the first step, in seconds, and the test loss."""
    command = ["taskset", "-c", cores, Path(sys.executable).with_name("dlrun"), "train", "--json"]
    result = run([*command, *words, "device=cpu", "~callbacks.early_stopping"], env, home)
    with (home / result["run_dir"] / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    started = result["seconds"]["startup"] + result["seconds"]["first_step"]
    return statistics.median(seconds[1:]), started, result["test"]["loss"]


def measure_apart(words, sizes, cores, env, home):
    """As :func:`measure`, of the slower of two runs that know nothing of each other."""
    batch_size, limit = (size // 2 for size in sizes)
    halves = f"batch_size={batch_size}", f"data.limit={limit}", "data.validation_samples=5000"
    with ThreadPoolExecutor() as threads:
        both = threads.map(lambda core: measure([*words, *halves], core, env, home), cores)
        return max(both)


def compare_one(label, words, core, epochs, home):
    """Print what one device takes under SPREAD, of the processor's time without."""
    command = ["taskset", "-c", core, Path(sys.executable).with_name("dlrun"), "train", *words]
    command += ["device=cpu", "~callbacks.early_stopping", f"epochs={epochs + 2}", "--quiet"]
    command += ["+callbacks.turns._target_=turn_callback.TakeTurns"]
    seconds = take_turns(
        {"spread": [*command, SPREAD], "plain": command}, epochs, home, cpu_seconds
    )
    ratios = [a / b for a, b in zip(seconds["spread"], seconds["plain"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{label:<34} {middle:5.3f} of the time without (half of them {low:.3f} to {high:.3f})")


def compare(label, pairs, *, is_same=True):
    """Print the median of the ratios, pair by pair."""
    for (_, _, loss), (_, _, other) in pairs if is_same else []:
        assert abs(loss - other) <= 1e-3 * abs(other), (loss, other)
    faster = [other[0] / one[0] for one, other in pairs]
    start = statistics.median(one[1] / other[1] for one, other in pairs)
    print(
        f"{label:<34} {statistics.median(faster):5.2f} times as fast"
        f"  ({min(faster):.2f} to {max(faster):.2f})  start {start:.2f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--loops", default="fit,raw")
    parser.add_argument("--models", default="mnist_mlp,mnist_convnet")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--limit", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--turns", type=int, default=20, help="epochs of each, for 'one'")
    parser.add_argument("--only", default="two,apart,one")
    chosen = parser.parse_args()
    only, sizes = chosen.only.split(","), (chosen.batch_size, chosen.limit)
    first, second = map(str, sorted(os.sched_getaffinity(0))[:2])
    print(f"load before: {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        for backend in chosen.backends.split(","):
            for loop in chosen.loops.split(","):
                for model in chosen.models.split(","):
                    words = [f"backend={backend}", f"loop={loop}", f"model={model}"]
                    words += [f"batch_size={chosen.batch_size}", f"epochs={chosen.epochs}"]
                    words += [f"data.limit={chosen.limit}"]
                    other = {
                        "two": lambda words: measure(
                            [*words, SPREAD, "device.count=2"], f"{first},{second}", env, home
                        ),
                        "apart": lambda words: measure_apart(
                            words, sizes, (first, second), env, home
                        ),
                    }
                    label = f"{backend} {loop} {model}"
                    if "one" in only:
                        compare_one(f"{label} one", words, first, chosen.turns, home)
                    pairs = {name: [] for name in only if name != "one"}
                    for _ in range(chosen.runs if pairs else 0):
                        alone = measure(words, first, env, home)
                        for name, of in pairs.items():
                            of.append((other[name](words), alone))
                    for name, of in pairs.items():
                        compare(f"{label} {name}", of, is_same=name != "apart")


if __name__ == "__main__":
    main()
