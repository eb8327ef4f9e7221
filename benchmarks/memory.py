"""What `dlrun summary --memory` says of a run's process against the peak of the run.

Each pair is two processes: the estimate, and a run of three epochs, of which the system tells the
peak. The models are those that come with dlrun, on data that come with it or are made here. On jax
a run compiles, as the first of a config does, and as the estimate does.

python benchmarks/memory.py [--backends jax,tensorflow,torch] [--models resnet,tabular] [--loop raw]
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

DLRUN = str(Path(sys.executable).with_name("dlrun"))
LIMIT = "data.limit=1024"
TABLE = ["data=csv", "data.path=table.csv", "data.target=target", "task=regression"]
SERIES = ["data=timeseries", "data.path=series.csv", "data.time=hour", "data.target=load"]
MNIST = ["data=mnist", LIMIT]
# Name: the overrides, and the backends where it does not compute on all.
MODELS = {
    "mnist_mlp": [LIMIT],
    "mnist_mlp_dropout": [LIMIT],
    "mnist_convnet": [LIMIT],
    "mnist_separable": [LIMIT],
    "mnist_subclassed": [LIMIT],
    "naive_mlp": [LIMIT],
    "mixed_functional": [LIMIT],
    "mixed_subclassed": [],
    "linear_classifier": [],
    "small_convnet": MNIST,
    "resnet": [*MNIST, "model.depths=[1,1]", "model.widths=[16,32]"],
    "keras_application": MNIST,
    "tabular": TABLE,
    "forecaster": SERIES,
    "forecaster lstm": [*SERIES, "model.encoder=lstm"],
    "forecaster conv": [*SERIES, "model.encoder=conv"],
    "text_average": [LIMIT],
    "text_lstm": [LIMIT],
    "text_attention": [LIMIT],
    "text_classifier": [LIMIT],
    "text_classifier lstm": [LIMIT, "model.encoder=lstm"],
    "text_classifier transformer": [LIMIT, "model.encoder=transformer"],
    "ticket_classifier": [],
    "ticket_classifier_subclassed": [],
    "ticket_difficulty": [],
    "jax_function": MNIST,
    "flax_module": MNIST,
    "torch_module": MNIST,
}
ONLY = {"jax_function": "jax", "flax_module": "jax", "torch_module": "torch"}


def make_files(folder):
    numbers = random.Random(0)
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*(f"x{n}" for n in range(20)), "kind", "target"])
        for _ in range(20_000):
            values = [numbers.gauss(0, 1) for _ in range(20)]
            rows.writerow([*values, numbers.choice("abcdef"), sum(values)])
    with (folder / "series.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["hour", "load", "warmth"])
        for hour in range(8_000):
            at = datetime(2024, 1, 1) + timedelta(hours=hour)
            rows.writerow([at.isoformat(" "), numbers.gauss(9, 1), numbers.gauss(9, 1)])


def dlrun(words, folder):
    """The object that a command prints, and the peak of its process in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        command = subprocess.Popen([DLRUN, *words, "--json"], stdout=out, stderr=err, cwd=folder)
        _, status, usage = os.wait4(command.pid, 0)
        out.seek(0)
        err.seek(0)
        if status:
            return None, err.read().strip().splitlines()[-1]
        return json.loads(out.read()), usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default="jax,tensorflow,torch")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--loop", default="raw")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=1, help="of each pair")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_files(folder)
        for model in args.models.split(","):
            for backend in args.backends.split(","):
                if ONLY.get(model, backend) != backend:
                    continue
                words = [f"model={model.split()[0]}", f"backend={backend}", f"loop={args.loop}"]
                words += [f"batch_size={args.batch_size}", *MODELS[model]]
                if backend == "jax":
                    words.append("backend.compilation_cache=false")
                for _ in range(args.runs):
                    estimate, told = dlrun(["summary", *words, "--memory"], folder)
                    run, peak = dlrun(["train", *words, "epochs=3"], folder)
                    if estimate is None or run is None:
                        print(f"{model:<28} {backend:<11} {told if estimate is None else peak}")
                        continue
                    size = estimate["memory"]["process"]
                    print(
                        f"{model:<28} {backend:<11} {size / 1e6:7.0f} MB of {peak / 1e6:7.0f} MB"
                        f"  {size / peak:.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
