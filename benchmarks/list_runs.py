"""How long ``dlrun runs`` takes over thousands of runs: the whole command, as the user waits.

python benchmarks/list_runs.py [--runs 2000] [--rounds 7]
python benchmarks/list_runs.py --runs 5000 --only=--group    # less than a second
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from dlrun.config.compose import compose, to_yaml
from dlrun.system.process import cores

DLRUN = str(Path(sys.executable).with_name("dlrun"))
COMMANDS = (
    (),
    ("--sort", "val_accuracy", "--limit", "20"),
    ("--where", "optimizer.learning_rate<1e-3", "--where", "backend=jax"),
    ("--json",),
    ("--csv",),
    ("--group",),
)


def make(home, number):
    """Run directories with what a run of ten epochs leaves behind, without the arrays."""
    draw = random.Random(0)
    config = compose([])
    text = to_yaml(config)
    for index in range(number):
        name = time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(1.79e9 + 60 * index))
        path = home / draw.choice(("mnist_mlp", "mnist_convnet", "sweeps/rates"))
        path = path / f"{name}_{''.join(draw.choices('abcdefghjkmnpqrstuvwxyz23456789', k=4))}"
        for epoch in (8, 9, 10):
            checkpoint = path / "checkpoints" / f"epoch-{epoch:04}"
            checkpoint.mkdir(parents=True)
            for file in ("arrays.npz", "manifest.json", "state.json"):
                (checkpoint / file).touch()
        config.seed = index
        config.optimizer["learning_rate"] = draw.choice((0.1, 0.01, 0.001, 0.0001))
        (path / "run.json").write_text(json.dumps(record(draw, config, index), indent=2) + "\n")
        (path / "config.yaml").write_text(text)
        (path / "metrics.csv").write_text("epoch,loss\n" + "1,0.1\n" * 10)
        for file in ("overrides.yaml", "dlrun.log", ".lock"):
            (path / file).touch()


def record(draw, config, index):
    metrics = {"loss": draw.random(), "accuracy": draw.random()}
    splits = dict.fromkeys(("train", "validation", "test"), metrics)
    return {
        "status": draw.choices(("completed", "failed", "running"), (18, 1, 1))[0],
        "command": ["dlrun", "train"],
        "overrides": [f"optimizer.learning_rate={config.optimizer['learning_rate']}"],
        "started": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(1.79e9 + 60 * index)),
        "versions": {"python": "3.11.7", "dlrun": "0.1.0", "keras": "3.15.1", "jax": "0.10.2"},
        "seed": config.seed,
        "backend": draw.choice(("jax", "tensorflow", "torch")),
        "device": "cpu:0",
        "precision": "float32",
        "host": "here",
        "cores": 2,
        "model": "mnist_mlp",
        "data": "mnist",
        "task": "classification",
        "loop": draw.choice(("fit", "train_step", "raw")),
        "input_shape": [28, 28],
        "data_fingerprint": dict.fromkeys(splits, "uint8(384, 28, 28) uint8(384,) ae0844ec56281d"),
        "parameters": 407050,
        "config": asdict(config),
        "git": {"commit": "0" * 40, "dirty": False},
        "epochs": 10,
        "best_epoch": draw.randint(1, 10),
        "stopped_by": "epochs",
        **splits,
        "seconds": {"startup": 1.9, "first_step": 0.2, "train": 9.1, "total": 11.7},
        "examples_per_second": 57804.1,
        "peak_memory_bytes": 489447424,
    }


def seconds(command):
    # As for users: with the variable, each command would compile dlrun's modules again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=environment)
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="time this command alone")
    options = parser.parse_args()
    commands = [tuple(options.only.split())] if options.only else COMMANDS
    with tempfile.TemporaryDirectory() as home:
        make(Path(home), options.runs)
        print(f"{options.runs:,} runs, {cores()} cores, the median of {options.rounds}")
        none = statistics.median(seconds([DLRUN, "--version"]) for _ in range(options.rounds))
        print(f"{none:.3f} s  dlrun --version")
        for words in commands:
            command = [DLRUN, "runs", home, *words]
            seconds(command)
            median = statistics.median(seconds(command) for _ in range(options.rounds))
            print(f"{median:.3f} s  dlrun runs {' '.join(words)}".rstrip())


if __name__ == "__main__":
    main()
