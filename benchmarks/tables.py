"""dlrun train data=csv against a pandas script doing the same work, taking turns.

Makes a CSV of 1,000,000 rows and 40 columns, and one five times as long to compare the memory.

python benchmarks/tables.py [--backend jax] [--runs 3] [--rows 1000000] [--long]
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from against_plain import run

HERE = Path(__file__).parent
PART = 100_000


def make_table(path, rows):
    """35 columns of numbers, some missing, 4 of categories, and a target."""
    random = np.random.default_rng(0)
    weights = random.normal(size=35)
    writer = None
    for _ in range(rows // PART):
        numbers = random.normal(size=(PART, 35)).round(5)
        categories = random.integers(0, 8, (PART, 4))
        target = numbers @ weights + categories.sum(axis=1) + random.normal(size=PART)
        columns = {
            f"n{i}": pa.array(numbers[:, i], mask=random.random(PART) < 0.01) for i in range(35)
        }
        names = np.array([f"kind {c}" for c in "abcdefgh"])
        columns |= {f"c{i}": names[categories[:, i]] for i in range(4)}
        batch = pa.table(columns | {"target": target.round(4)})
        writer = writer or csv.CSVWriter(str(path), batch.schema)
        writer.write_table(batch)
    writer.close()


def dlrun(path, backend, env, home):
    command = [Path(sys.executable).with_name("dlrun"), "train", f"backend={backend}", "data=csv"]
    overrides = [f"data.path={path}", "data.target=target", "epochs=1", "batch_size=1024"]
    overrides.append("+callbacks.peak._target_=first_batch.FirstBatchPeak")
    result, peak = told([*command, *overrides, "--json"], env, home)
    seconds = result["seconds"]
    return {
        "first_batch_seconds": seconds["startup"] + seconds["first_step"],
        "first_batch_bytes": peak,
        "peak_memory_bytes": result["peak_memory_bytes"],
        "loss": result["test"]["loss"],
    }


def plain(path, backend, env, home):
    command = [sys.executable, HERE / "plain_table.py", path, "target"]
    result, peak = told(command, {**env, "KERAS_BACKEND": backend}, home)
    return {**result, "first_batch_bytes": peak}


def told(command, env, home):
    """What a program prints, and its peak memory up to the first batch."""
    file = home / "peak.txt"
    file.unlink(missing_ok=True)
    paths = {"PYTHONPATH": str(HERE), "FIRST_BATCH_PEAK": str(file)}
    return run(command, {**env, **paths}, home), int(file.read_text())


def line(name, told, ours, theirs, scale=1.0):
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"{name:<24} {told:<10} dlrun {statistics.median(ours) * scale:8.2f}"
        f"  pandas {statistics.median(theirs) * scale:8.2f}"
        f"  ratio {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--long", action="store_true", help="also a table five times as long")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {**os.environ, "KERAS_HOME": folder, "XDG_CACHE_HOME": f"{folder}/cache"}
        table = home / "table.csv"
        make_table(table, chosen.rows)
        small = home / "small.csv"
        make_table(small, PART)
        dlrun(small, chosen.backend, env, home)  # imports and compiled functions are cached
        plain(small, chosen.backend, env, home)
        new, cached, others = [], [], []
        for _ in range(chosen.runs):
            shutil.rmtree(home / "cache/dlrun/data", ignore_errors=True)
            new.append(dlrun(table, chosen.backend, env, home))
            others.append(plain(table, chosen.backend, env, home))
            cached.append(dlrun(table, chosen.backend, env, home))
        for name, ours in (("the first time", new), ("from the cache", cached)):
            for key, told, scale in (
                ("first_batch_seconds", "seconds", 1.0),
                ("first_batch_bytes", "MB to it", 1e-6),
                ("peak_memory_bytes", "MB in all", 1e-6),
                ("loss", "test loss", 1.0),
            ):
                line(name, told, [o[key] for o in ours], [o[key] for o in others], scale)
        if chosen.long:
            long = home / "long.csv"
            make_table(long, 5 * chosen.rows)
            peaks = dlrun(long, chosen.backend, env, home)
            until = {"first_batch_bytes": "to the first batch", "peak_memory_bytes": "in all"}
            for key, when in until.items():
                ratio = peaks[key] / statistics.median(o[key] for o in new)
                print(
                    f"five times as long: {peaks[key] * 1e-6:,.0f} MB {when}, {ratio:.2f} of the"
                    " small one's"
                )


if __name__ == "__main__":
    main()
