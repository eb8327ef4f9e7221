"""A CSV that is cut into parts has the rows that it has as a whole."""

import csv
import io
import random

import pytest

from dlrun.data.table_formats import TableOptions
from dlrun.data.table_formats import csv as tables_csv
from dlrun.data.table_formats.csv import batches
from dlrun.data.tabular.csv_parts import UnclearRowsError, parts, require_whole_rows

VALUES = ["", "1", "2.5", "kind a", 'say "so"', "a,b", '"', '""', "x\ny", "\r\n", "'"]


def cut(text, size, delimiter=","):
    """The parts before the first unclear place, and whether there is one."""
    found = []
    try:
        for part in parts(io.BytesIO(text.encode()), size):
            require_whole_rows(part, delimiter)
            found.append(part.decode())
    except UnclearRowsError:
        return found, True
    return found, False


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_parts_are_whole_rows_however_they_are_quoted(delimiter, quoting):
    draw = random.Random(0)
    for _ in range(300):
        rows = [draw.choices(VALUES, k=3) for _ in range(draw.randrange(1, 12))]
        file = io.StringIO()
        end = draw.choice(["\n", "\r\n"])
        csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
        found, is_unclear = cut(file.getvalue(), draw.randrange(1, 80), delimiter)
        read = [
            row
            for part in found
            for row in csv.reader(io.StringIO(part, newline=""), delimiter=delimiter)
        ]
        assert read == rows[: len(read)]
        assert is_unclear or read == rows


def test_a_table_without_breaks_in_quotes_is_cut_to_its_end():
    text = 'name,size\n"a ""b"", c",1\n' + '"",2\nd,"3"\n' * 50
    found, is_unclear = cut(text, 64)
    assert "".join(found) == text
    assert len(found) > 5
    assert not is_unclear


@pytest.mark.parametrize(
    "row",
    [
        '"two\nlines",1\n',
        'a 5" pipe,"1\n2",5"\n',  # a quote within a value opens nothing
        '"a"b,1\n',
        '"never closed,1\n',
    ],
)
def test_where_a_break_may_be_in_quotes_the_parts_end(row):
    found, is_unclear = cut("a,b\n" + "c,2\n" * 40 + row + "d,3\n" * 40, 64)
    assert is_unclear
    assert all(part.count("\n") == part.count(",") for part in found)
    assert not any(line in part for part in found for line in row.splitlines())


def test_a_file_of_one_line_or_none_is_unclear():
    assert cut("", 64) == ([], True)
    assert cut("a" * 100, 64) == ([], True)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A file of several parts, whose last rows have values of several lines."""
    rows = [[i, i / 8, f"kind {i % 7}", "" if i % 5 else "x"] for i in range(600_000)]
    path = tmp_path_factory.mktemp("csv") / "long.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["i", "x", "kind", "note"])
        writer.writerows(rows)
        writer.writerows([600_000 + i, 0.5, "a\nb", None] for i in range(9))
    return path


def test_rows_of_several_lines_go_on_where_the_parts_end(long):
    read = list(batches(long, {}, TableOptions()))
    assert len(read) > 3
    assert {str(batch.schema.types) for batch in read} == {str(read[0].schema.types)}
    numbers = [i for batch in read for i in batch.column("i").to_pylist()]
    assert numbers == list(range(600_009))
    assert read[-1].column("kind").to_pylist()[-9:] == ["a\nb"] * 9
    assert sum(batch.column("note").null_count for batch in read) == 480_009


def test_parts_that_are_parsed_side_by_side_are_those_of_one_thread(long, monkeypatch):
    several = list(batches(long, {}, TableOptions()))
    monkeypatch.setattr(tables_csv, "THREADS", 1)
    one = list(batches(long, {}, TableOptions()))
    assert len(one) == len(several)
    assert all(a.equals(b) for a, b in zip(one, several, strict=True))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,kind 3", "Row #600012: Expected 4 columns, got 3"),
        ("1,2,3,4,5", "Row #600012: Expected 4 columns, got 5"),
    ],
)
def test_a_row_with_other_columns_in_a_later_part_is_told_by_its_number(long, row, message):
    import pyarrow as pa

    ragged = long.with_name("ragged.csv")
    ragged.write_text(long.read_text().replace("a\nb", "a") + f"0,0.5,a,\n{row}\n0,0.5,a,\n")
    with pytest.raises(pa.ArrowInvalid, match=message):
        list(batches(ragged, {}, TableOptions()))
