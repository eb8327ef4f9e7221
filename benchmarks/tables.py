"""dlrun train data=csv against a pandas script doing the same work, taking turns.

Makes a CSV of 1,000,000 rows and 40 columns, and one five times as long to compare the memory.

python benchmarks/tables.py [--backend jax] [--runs 3] [--rows 1000000] [--long]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

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
    result, anonymous = measured([*command, *overrides, "--json"], env, home)
    seconds = result["seconds"]
    return {
        "first_batch_seconds": seconds["startup"] + seconds["first_step"],
        "anonymous_bytes": anonymous,
        "peak_memory_bytes": result["peak_memory_bytes"],
        "loss": result["test"]["loss"],
    }


def plain(path, backend, env, home):
    command = [sys.executable, HERE / "plain_table.py", path, "target"]
    result, anonymous = measured(command, {**env, "KERAS_BACKEND": backend}, home)
    return {**result, "anonymous_bytes": anonymous}


def measured(command, env, home):
    """What a program prints as JSON, and the peak of its memory without mapped files.

    A page of a mapped file is the system's to take back, and it may map two megabytes for one row.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, env=env, cwd=home, stdout=out, stderr=err)
        peak = 0
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(0.01)
        out.seek(0), err.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{err.read().decode()}")
        return json.loads(out.read().decode().strip().splitlines()[-1]), peak


def anonymous_bytes(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    kilobytes = [entry.split()[1] for entry in status.splitlines() if entry.startswith("RssAnon")]
    return 1024 * int(kilobytes[0]) if kilobytes else 0


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
                ("anonymous_bytes", "MB", 1e-6),
                ("peak_memory_bytes", "MB, mapped", 1e-6),
                ("loss", "test loss", 1.0),
            ):
                line(name, told, [o[key] for o in ours], [o[key] for o in others], scale)
        if chosen.long:
            long = home / "long.csv"
            make_table(long, 5 * chosen.rows)
            peaks = dlrun(long, chosen.backend, env, home)
            kinds = {"anonymous_bytes": "in all", "peak_memory_bytes": "with mapped files"}
            for key, kind in kinds.items():
                ratio = peaks[key] / statistics.median(o[key] for o in new)
                print(
                    f"five times as long: {peaks[key] * 1e-6:,.0f} MB {kind}, {ratio:.2f} of the"
                    " small one's"
                )


if __name__ == "__main__":
    main()
