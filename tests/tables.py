"""Small tables of houses and films, in files of every format, made from fixed random numbers."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
from PIL import Image

CITIES = ("Bonn", "Köln", "Ulm")


def houses(rows: int = 120, seed: int = 0) -> dict[str, list]:
    """The columns of a table; some areas and cities are missing, and the last price."""
    random = np.random.default_rng(seed)
    area = random.normal(80, 20, rows).round(1)
    city = random.integers(0, 3, rows)
    garden = random.random(rows) < 0.4
    price = 3000 * area + 40_000 * garden + 50_000 * city
    sold = np.datetime64("2015-01-01") + random.integers(0, 3000, rows)
    return {
        "id": list(range(rows)),
        "area": [None if n % 11 == 3 else float(v) for n, v in enumerate(area)],
        "city": [None if n % 13 == 5 else CITIES[v] for n, v in enumerate(city)],
        "rooms": random.integers(1, 9, rows).tolist(),
        "garden": garden.tolist(),
        "sold": [str(day) for day in sold],
        "price": [*price.round(2).tolist()[:-1], None],
        "kind": [["flat", "house", "barn"][n % 3] for n in range(rows)],
    }


def write_csv(path: Path, columns: dict[str, list], delimiter: str = ",") -> Path:
    """Write columns, None as nothing."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


FUNCTION = """import numpy as np


def load(rows=60):
    values = np.arange(3.0 * rows).reshape(rows, 3)
    return values, np.arange(rows) % 2
"""


def write_reviews(folder: Path) -> None:
    """Write a data set as ``save_to_disk`` of Hugging Face's ``datasets`` does."""
    folder.mkdir()
    rows = pa.table({"text": [f"film {n % 7}" for n in range(40)], "label": [0, 1] * 20})
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), rows.schema) as stream:
        stream.write_table(rows)
    kinds = {"text": {"dtype": "string", "_type": "Value"},
             "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}  # fmt: skip
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": "0" * 16}
    state |= dict.fromkeys(("_format_columns", "_format_type", "_split"))
    state |= {"_format_kwargs": {}, "_output_all_columns": False}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": kinds}))


def write_all(directory: Path) -> None:
    """Write tables in every format, a series, texts, arrays, and a module with a function."""
    write_reviews(directory / "saved_reviews")
    np.save(directory / "x.npy", np.arange(120.0).reshape(60, 2))
    np.save(directory / "y.npy", np.arange(60) % 2)
    (directory / "my_data.py").write_text(FUNCTION, encoding="utf-8")
    columns = houses()
    table = pa.table({**columns, "sold": pa.array(columns["sold"]).cast(pa.timestamp("us"))})
    write_csv(directory / "houses.csv", columns)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (directory / "houses.jsonl").write_text(text, encoding="utf-8")
    pyarrow.parquet.write_table(table, directory / "houses.parquet")
    pyarrow.orc.write_table(table, directory / "houses.orc")
    with pa.ipc.new_file(str(directory / "houses.arrow"), table.schema) as file:
        file.write_table(table)
    genres = [["drama|comedy", "drama", "action|comedy", "action"][n % 4] for n in range(80)]
    year = [1950 + 7 * n % 70 for n in range(80)]
    write_csv(directory / "films.csv", {"year": year, "genres": genres})
    hours = [f"2026-01-{1 + n // 24:02} {n % 24:02}:00" for n in range(400)]
    load = [round(100 + n / 10 + 9 * np.sin(n * np.pi / 12), 2) for n in range(400)]
    write_csv(directory / "load.csv", {"hour": hours, "load": load})
    for number in range(40):
        kind = ("good", "bad")[number % 2]
        (directory / "reviews" / kind).mkdir(parents=True, exist_ok=True)
        text = directory / "reviews" / kind / f"{number}.txt"
        text.write_text(f"A {kind} film of {1950 + number}.", encoding="utf-8")
    random = np.random.default_rng(0)
    for number in range(40):
        folder = directory / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
