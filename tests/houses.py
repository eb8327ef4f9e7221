"""Tables of houses, and runs that predict what is in them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from trainings import Refused, worker

ROWS = 150
CITIES = ("Rome", "Oslo", "Lima")
TARGETS = {
    **{name: name for name in ("price", "kind", "big", "tags")},
    **{"both": "[price,kind]", "weighted": "kind"},
}


def columns(rows: int, seed: int) -> dict[str, list]:
    """Columns of inputs and of every target; the target depends on the inputs."""
    draw = np.random.default_rng(seed)
    area = draw.uniform(20, 200, rows).round(2).tolist()
    days = np.datetime64("2020-01-01") + draw.integers(0, 700, rows)
    return {
        "house_id": [f"h{place:03}" for place in range(rows)],
        "area": area,
        "rooms": draw.integers(1, 7, rows).tolist(),
        "city": draw.choice(CITIES, rows).tolist(),
        "sold": [str(day) for day in days],
        "garden": draw.choice([True, False], rows).tolist(),
        "price": [round(1000 * value + float(draw.normal(0, 9)), 1) for value in area],
        "kind": ["big" if value > 140 else "mid" if value > 80 else "small" for value in area],
        "big": ["yes" if value > 100 else "no" for value in area],
        "tags": ["|".join(["a"] * (value > 60) + ["b"] * (value > 120)) or "c" for value in area],
    }


def write_csv(path: Path, table: dict[str, list]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without(table: dict[str, list], *names: str) -> dict[str, list]:
    return {name: values for name, values in table.items() if name not in names}


SPLIT = [{0: "test", 1: "validation"}.get(place % 5, "train") for place in range(ROWS)]


class Homes:
    """A directory with ``houses.csv``, and a run for each of :data:`TARGETS`."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self.table = columns(ROWS, seed=0)
        self.new = without(columns(40, seed=1), "price", "kind", "big", "tags")
        write_csv(cwd / "new.csv", self.new)
        self.runs: dict[str, Path] = {}

    def run(self, name: str) -> Path:
        if name not in self.runs:
            others = {"price", "kind", "big", "tags"} - set(TARGETS[name].strip("[]").split(","))
            write_csv(self.cwd / f"{name}.csv", {**without(self.table, *others), "split": SPLIT})
            result = worker("jax").train(
                self.cwd,
                *("data=csv", f"data.path={name}.csv", f"data.target={TARGETS[name]}"),
                *("epochs=2", "batch_size=16", "model.units=8", "model.blocks=1", f"name={name}"),
                *(["data.kind=multilabel"] if name == "tags" else []),
                *(["task.class_weight=balanced"] if name == "weighted" else []),
                "+export=keras",
            )
            self.runs[name] = result["path"]
        return self.runs[name]

    def predict(self, name: str, source: str = "new.csv", *overrides: str, **options) -> list[dict]:
        run = self.run(name)
        worker("jax").predict(self.cwd, run, "out.csv", source, *overrides, **options)
        return read_csv(self.cwd / "out.csv")

    def refused(self, name: str, source: str, **options) -> Refused:
        with pytest.raises(Refused) as caught:
            self.predict(name, source, **options)
        return caught.value
