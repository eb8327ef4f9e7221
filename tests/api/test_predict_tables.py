"""Predictions of runs on tables, for tables and rows of the user's own."""

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, orc, parquet

from conftest import COMMAND
from dlrun.data.table_formats import formats_of_tables
from dlrun.inference.prediction_files import write_columns
from houses import CITIES, SPLIT, Homes, read_csv, without, write_csv
from trainings import Refused, worker

pytestmark = pytest.mark.trains


def by_hand(homes: Homes, name: str, new: dict[str, list]) -> np.ndarray:
    """What a run's model returns for new rows, in float64, from its weights and plain NumPy."""
    from dlrun.checkpoints.format import read_checkpoint

    rows, table = len(new["area"]), homes.table
    train = np.array(SPLIT) == "train"

    def standard(of_train: np.ndarray, of_new: np.ndarray) -> np.ndarray:
        return (of_new - of_train[train].mean()) / of_train[train].std()

    seconds = [np.array(t["sold"], "datetime64[s]").astype(float) for t in (table, new)]
    angles = [seconds[1] / (days * 86_400) * 2 * np.pi for days in (365.2425, 7)]
    counts = {city: (np.array(table["city"])[train] == city).sum() for city in CITIES}
    cities = sorted(CITIES, key=lambda city: (-counts[city], city))
    inputs = np.column_stack(
        [
            *(standard(*(np.array(t[n], float) for t in (table, new))) for n in ("area", "rooms")),
            np.zeros((rows, 2)),  # for a missing city and a rare one
            np.array([[city == other for other in cities] for city in new["city"]]),
            standard(*seconds),
            *(wave(angle) for angle in angles for wave in (np.sin, np.cos)),
            np.array(new["garden"], float),
        ]
    )
    epoch = worker("jax").predict(homes.cwd, homes.run(name), Path("any.csv"))["epoch"]
    saved = read_checkpoint(homes.run(name) / f"checkpoints/epoch-{epoch:04}")
    first, one, second, two = (np.asarray(v.value, float) for v in saved.model)
    outputs = np.maximum(inputs @ first + one, 0) @ second + two
    if name == "kind":
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    prices = np.array(table["price"])[train]
    return outputs * prices.std() + prices.mean()


def test_numbers_and_probabilities_are_those_computed_by_hand(homes):
    rows = homes.predict("price")
    assert list(rows[0]) == ["row", "house_id", "predicted_price"]
    prices = [float(row["predicted_price"]) for row in rows]
    np.testing.assert_allclose(prices, by_hand(homes, "price", homes.new)[:, 0], rtol=2e-6)
    rows = homes.predict("kind")
    classes, expected = ("big", "mid", "small"), by_hand(homes, "kind", homes.new)
    values = [[float(row[f"probability_{name}"]) for name in classes] for row in rows]
    np.testing.assert_allclose(values, expected, atol=2e-6)
    best = expected.argmax(axis=1)
    assert [row["predicted_kind"] for row in rows] == [classes[place] for place in best]
    shown = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(shown, expected.max(axis=1), atol=2e-6)


def test_rows_and_ids_keep_their_order_over_many_batches(homes):
    rows = homes.predict("kind", "new.csv", "batch_size=7")
    assert [row["row"] for row in rows] == [str(place) for place in range(1, 41)]
    assert [row["house_id"] for row in rows] == homes.new["house_id"]
    [swapped] = homes.predict("kind", "new.csv", ids=["city", "rooms"])[:1]
    assert list(swapped)[:4] == ["row", "city", "rooms", "predicted_kind"]
    assert (swapped["city"], swapped["rooms"]) == (homes.new["city"][0], str(homes.new["rooms"][0]))


def test_every_format_of_the_input_gives_the_same_predictions(homes):
    expected = homes.predict("kind")
    # Other columns, another order, and a target of another type that is partly missing.
    table = {"note": ["x"] * 40, "kind": [None, *range(39)], **homes.new}
    table = dict(reversed(table.items()))
    write_csv(homes.cwd / "other.csv", table)
    (homes.cwd / "other.jsonl").write_text(
        "".join(
            json.dumps({name: values[row] for name, values in table.items()}) + "\n"
            for row in range(40)
        )
    )
    arrow = pa.table(table).append_column("parts", pa.array([{"a": 1}] * 40))  # no such kind
    parquet.write_table(arrow, homes.cwd / "other.parquet")
    feather.write_feather(arrow, homes.cwd / "other.arrow")
    orc.write_table(arrow, homes.cwd / "other.orc")
    for suffix in formats_of_tables():
        assert homes.predict("kind", f"other.{suffix}") == expected, suffix
    half = {name: values[:20] for name, values in homes.new.items()}
    (homes.cwd / "parts").mkdir()
    write_csv(homes.cwd / "parts/a.csv", half)
    write_csv(homes.cwd / "parts/b.csv", {n: v[20:] for n, v in homes.new.items()})
    rows = homes.predict("kind", "parts/*.csv")
    assert [row.pop("file")[-5:] for row in rows] == ["a.csv"] * 20 + ["b.csv"] * 20
    assert [int(row.pop("row")) for row in rows] == [*range(1, 21)] * 2
    assert rows == [{n: v for n, v in row.items() if n != "row"} for row in expected]


def test_every_format_of_the_output_holds_the_same_columns(homes):
    expected = homes.predict("kind")
    run, cwd = homes.run("kind"), homes.cwd
    for suffix in ("jsonl", "parquet", "npz"):
        worker("jax").predict(cwd, run, Path(f"out.{suffix}"), Path("new.csv"))
    lines = [json.loads(line) for line in (cwd / "out.jsonl").read_text().splitlines()]
    tables = [lines, parquet.read_table(cwd / "out.parquet").to_pylist()]
    with np.load(cwd / "out.npz") as arrays:
        rows = zip(*(array.tolist() for array in arrays.values()), strict=True)
        tables.append([dict(zip(arrays, row, strict=True)) for row in rows])
    for table in tables:
        assert [{n: str(v) for n, v in row.items()} for row in table] == expected


def test_outputs_of_each_kind_are_named(homes):
    row = homes.predict("big")[0]
    assert list(row)[2:] == ["predicted_big", "probability", "probability_no", "probability_yes"]
    sides = float(row["probability_no"]), float(row["probability_yes"])
    assert sum(sides) == pytest.approx(1)
    assert (row["predicted_big"], float(row["probability"])) == max(
        zip(("no", "yes"), sides, strict=True), key=lambda pair: pair[1]
    )
    row = homes.predict("both")[0]
    assert list(row)[2:] == [
        *("predicted_price", "predicted_kind", "kind_probability"),
        *(f"kind_probability_{name}" for name in ("big", "mid", "small")),
    ]
    for row in homes.predict("tags"):
        above = [name for name in "abc" if float(row[f"probability_{name}"]) > 0.5]
        assert row["predicted_tags"] == "|".join(above)


def test_top_gives_the_best_classes_in_order(homes):
    rows, every = homes.predict("kind", top=2), homes.predict("kind")
    head = ["predicted_kind", "probability"]
    assert list(rows[0])[2:] == [
        *head,
        *("top_1", "top_1_probability", "top_2", "top_2_probability"),
    ]
    for row, whole in zip(rows, every, strict=True):
        ordered = sorted(
            (name for name in whole if name.startswith("probability_")),
            key=lambda name: -float(whole[name]),
        )
        for place, name in enumerate(ordered[:2], 1):
            assert row[f"top_{place}"] == name.removeprefix("probability_")
            assert row[f"top_{place}_probability"] == whole[name]
    assert len(homes.predict("kind", top=9)[0]) == 2 + 2 + 6  # all there are
    assert homes.refused("price", "new.csv", top=3).message == "--top 3: the run predicts numbers"


BAD = {2: ("area", "large"), 4: ("sold", "2020-13-01"), 6: ("garden", "maybe")}


def bad_rows(homes: Homes) -> list[str]:
    """``bad.csv``: ``new.csv`` with values that are wrong, and a row that is too short."""
    table = {name: list(values) for name, values in homes.new.items()}
    for row, (name, value) in BAD.items():
        table[name][row] = value
    write_csv(homes.cwd / "bad.csv", table)
    lines = (homes.cwd / "bad.csv").read_text().splitlines()
    lines[9] = "h008,1,2"
    (homes.cwd / "bad.csv").write_text("\n".join(lines) + "\n")
    return [
        "column 'area': 'large' is not a number",
        "column 'sold': '2020-13-01' is not a date such as 2026-11-28",
        "column 'garden': 'maybe' is not true or false",
        "has 3 values, not 6",
    ]


def test_rows_that_cant_be_read_fail_or_have_no_prediction(homes):
    expected, why = homes.predict("kind"), bad_rows(homes)
    (homes.cwd / "out.csv").write_text("what was there before")
    refused = homes.refused("kind", "bad.csv")
    assert refused.message.endswith(f"bad.csv: row 3: {why[0]}; 3 more rows are wrong")
    assert (homes.cwd / "out.csv").read_text() == "what was there before"
    rows = homes.predict("kind", "bad.csv", on_error="skip")
    assert [(int(r["row"]), r["error"]) for r in rows if r["error"]] == [
        *zip((3, 5, 7, 9), why, strict=True)
    ]
    for row, whole in zip(rows, expected, strict=True):
        if row.pop("error"):
            assert not row["predicted_kind"] and not row["probability"]
        else:
            assert row == whole


def test_values_that_training_did_not_see_are_counted(homes):
    write_csv(homes.cwd / "unseen.csv", {**homes.new, "city": ["Bonn"] * 3 + ["Oslo"] * 37})
    result = worker("jax").predict(
        homes.cwd, homes.run("kind"), Path("out.csv"), Path("unseen.csv")
    )
    assert result["notes"] == ["column 'city': 3 rows have a value that training did not see"]
    assert (result["samples"], result["skipped"]) == (40, 0)


def test_wrong_tables_are_one_line(homes):
    new, cwd = homes.new, homes.cwd
    (cwd / "empty.csv").touch()
    (cwd / "head.csv").write_text(",".join(new) + "\n")
    (cwd / "cut.parquet").write_bytes(b"PAR1")
    write_csv(cwd / "twice.csv", {"area ": new["area"], **new})
    (cwd / "twice.csv").write_text((cwd / "twice.csv").read_text().replace("area ,", "area,"))
    write_csv(cwd / "renamed.csv", {"Area": new["area"], **without(new, "area", "rooms")})
    write_csv(cwd / "text.csv", {**new, "area": ["n.n."] * 40})
    parquet.write_table(pa.table({**new, "sold": [1] * 40}), cwd / "type.parquet")
    (cwd / "bad.jsonl").write_text("{'area': 1}\n")
    for source, message in {
        "nope.csv": "nope.csv: no such file",
        "empty.csv": "empty.csv is empty",
        "head.csv": "head.csv: has no rows",
        "cut.parquet": "cut.parquet can't be read",
        "twice.csv": "twice.csv has two columns named 'area'",
        "renamed.csv": "has no column 'area', which the run takes (nor rooms)",
        "text.csv": "row 1: column 'area': 'n.n.' is not a number",
        "type.parquet": "row 1: column 'sold': 1 is not a date",
        "bad.jsonl": "row 1: is not JSON",
        "new.xls": "no such file",
    }.items():
        refused = homes.refused("kind", source)
        assert message in refused.message and refused.exit_code == 2, source
    assert homes.refused("kind", "renamed.csv").hint == "rename 'Area' to 'area'"
    assert homes.refused("kind", "text.csv", on_error="skip").exit_code == 1
    assert (
        "no column 'uuid', which --id names"
        in homes.refused("kind", "new.csv", ids=["uuid"]).message
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".npz"])
def test_a_day_is_written_as_in_a_table(tmp_path, suffix):
    days = [datetime(2026, 11, 28), datetime(2026, 11, 28, 10, 5), None]
    write_columns(tmp_path / f"p{suffix}", iter([{"when": ("as read", days)}]))
    if suffix == ".npz":
        written = np.load(tmp_path / "p.npz")["when"].tolist()
    else:
        lines = (tmp_path / f"p{suffix}").read_text().splitlines()
        is_csv = suffix == ".csv"
        written = lines[1:] if is_csv else [json.loads(line)["when"] or "" for line in lines]
    assert [text.strip('"') for text in written] == ["2026-11-28", "2026-11-28 10:05:00", ""]


def test_the_input_is_not_replaced_by_its_predictions(homes):
    before = (homes.cwd / "new.csv").read_bytes()
    (homes.cwd / "link.csv").symlink_to("new.csv")
    for source in ("new.csv", "link.csv"):
        with pytest.raises(Refused, match=r"new\.csv: is the input"):
            worker("jax").predict(homes.cwd, homes.run("kind"), "new.csv", source)
    assert (homes.cwd / "new.csv").read_bytes() == before


def test_none_of_several_inputs_is_replaced_by_the_predictions(homes):
    (homes.cwd / "several").mkdir()
    parts = [homes.cwd / "several" / f"{n}.csv" for n in range(2)]
    for path in parts:
        shutil.copy(homes.cwd / "new.csv", path)
    before = parts[1].read_bytes()
    for source in ("several", "several/*.csv"):
        with pytest.raises(Refused, match=r"1\.csv: is one of the input's files") as caught:
            worker("jax").predict(homes.cwd, homes.run("kind"), Path("several/1.csv"), Path(source))
        assert caught.value.hint == "--output predictions.csv"
    assert parts[1].read_bytes() == before


def test_rows_on_stdin_are_answered_on_stdout_without_the_training_data(homes, dlrun):
    """The command itself, on NumPy; two of the lines are broken."""
    expected = homes.predict("kind")
    run = shutil.copytree(homes.run("kind"), dlrun.cwd / "run")
    lines = [
        json.dumps({name: values[row] for name, values in homes.new.items()}) for row in range(40)
    ]
    lines[5:5] = ["{broken", "[1]"]
    words = (run, "backend=numpy", "--input", "-", "--output", "-", "--on-error", "skip")
    done = dlrun("predict", *words, input="\n".join(lines))
    assert done.returncode == 0, done.stderr
    assert "--input -: row 6: is not JSON: '{broken'" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["row"] for row in rows] == [*range(1, 43)]
    answered = [row for row in rows if row["error"] is None]
    assert [row["house_id"] for row in answered] == homes.new["house_id"]
    assert [row["predicted_kind"] for row in answered] == [r["predicted_kind"] for r in expected]
    np.testing.assert_allclose(
        [row["probability"] for row in answered],
        [float(row["probability"]) for row in expected],
        atol=1e-6,
    )


def test_a_wrong_row_is_reported_before_a_framework_is_imported(homes, dlrun):
    why = bad_rows(homes)
    done = dlrun.here("predict", homes.run("kind"), "--input", homes.cwd / "bad.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert why[0] in done.stderr and "--on-error skip" in done.stderr


def test_a_full_disk_leaves_no_partial_file(homes, dlrun):
    # Simulated by a file size limit of 8 KiB, which needs no root.
    many = {name: values * 20 for name, values in homes.new.items()}
    write_csv(dlrun.cwd / "many.csv", many)
    limited = ["bash", "-c", 'ulimit -f 8; exec "$0" "$@"', COMMAND]
    words = ("backend=numpy", "--input", "many.csv", "--output", "out.csv")
    done = dlrun("predict", homes.run("kind"), *words, command=limited)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: can't write out.csv" in done.stderr
    assert not [path for path in dlrun.cwd.iterdir() if "out.csv" in path.name]


PEAK = """
import atexit, resource, sys
from dlrun.cli import main
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
atexit.register(lambda: open("peak.txt", "w").write(str(peak())))
main()
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(homes, dlrun):
    peaks = {}
    for rows in (20_000, 200_000):
        table = {name: values * (rows // 40) for name, values in homes.new.items()}
        table["house_id"] = list(range(rows))
        write_csv(dlrun.cwd / "many.csv", table)
        words = ("backend=numpy", "batch_size=1024", "--input", "many.csv", "--output", "out.csv")
        done = dlrun("predict", homes.run("kind"), *words, command=[sys.executable, "-c", PEAK])
        assert done.returncode == 0, done.stderr
        peaks[rows] = int((dlrun.cwd / "peak.txt").read_text())
        written = read_csv(dlrun.cwd / "out.csv")
        assert [row["house_id"] for row in written] == [str(place) for place in range(rows)]
    assert peaks[200_000] < 1.1 * peaks[20_000], peaks
