"""Files of tables become rows of the same columns and values, whatever their format."""

import gzip
import json
import os
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from dlrun.data.row_formats import open_rows
from dlrun.data.row_formats.csv import Rows
from dlrun.data.table_formats import TableOptions, find_files, formats_of_tables
from dlrun.data.tabular.cached_table import batches
from dlrun.data.tabular.column_types import NOT_UTF8, Cells, type_name
from dlrun.data.tabular.column_values import to_objects, to_texts
from dlrun.data.tabular.number_types import LARGE
from dlrun.errors import DlrunError
from tables import houses, write_all, write_csv


def rows(path, **options):
    """The rows of a table, as they are in the cache."""
    files = find_files(str(path), None, TableOptions(**options))
    target = path.parent / "out.arrow" if path.suffix else path / "out.arrow"
    files.convert(target)
    return pa.Table.from_batches(batches(target))


def refused(path, **options):
    with pytest.raises(DlrunError) as caught:
        rows(path, **options)
    return str(caught.value)


def test_each_format_has_the_same_values(tmp_path):
    write_all(tmp_path)
    columns = houses()
    for suffix in formats_of_tables():
        table = rows(tmp_path / f"houses.{suffix}")
        assert table.column_names == list(columns)
        for name in ("id", "area", "city", "rooms", "garden", "price"):
            assert table[name].to_pylist() == columns[name], (suffix, name)


def test_a_value_far_down_widens_the_type_of_its_column(tmp_path):
    # Far beyond the block by which pyarrow infers the types.
    many = 400_000
    columns = {
        "whole": [1] * many + [2.5],
        "text": [7] * many + ["seven"],
        "late": [""] * many + [3],
        "zip": ["01234"] * (many + 1),
    }
    table = rows(write_csv(tmp_path / "wide.csv", columns))
    assert table["whole"][-1].as_py() == 2.5
    assert table["whole"][0].as_py() == 1.0
    assert (table["text"][0].as_py(), table["text"][-1].as_py()) == ("7", "seven")
    assert table["zip"][0].as_py() == "01234"
    assert (table["late"][0].as_py(), table["late"][-1].as_py()) == (None, 3)


def test_json_lines_may_leave_out_keys_and_add_them_late(tmp_path):
    path = tmp_path / "late.jsonl"
    path.write_text('{"a": 1}\n' * 12_000 + '{"a": 2, "b": "x"}\n\n{"b": null}\n', encoding="utf-8")
    table = rows(path)
    assert table["b"].to_pylist()[-2:] == ["x", None]
    assert table["a"].to_pylist()[-2:] == [2, None]


def test_the_delimiter_is_found_and_the_decimal_point_and_missing_texts_are_options(tmp_path):
    path = write_csv(tmp_path / "a.csv", {"x": ["1,5", "?"], "y": ["a;b", "c"]}, delimiter=";")
    table = rows(path, decimal=",", missing=("?",))
    assert table.to_pydict() == {"x": [1.5, None], "y": ["a;b", "c"]}
    for delimiter, suffix in (("\t", "tsv"), ("|", "csv")):
        path = write_csv(tmp_path / f"b.{suffix}", {"x": [1], "y": ["a"]}, delimiter=delimiter)
        assert rows(path).to_pydict() == {"x": [1], "y": ["a"]}


def test_a_packed_file_a_folder_and_a_pattern_are_read(tmp_path):
    text = write_csv(tmp_path / "a.csv", {"x": [1, 2]}).read_bytes()
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(text)
    assert rows(tmp_path / "a.csv.gz")["x"].to_pylist() == [1, 2]
    folder = tmp_path / "parts"
    (folder / "more").mkdir(parents=True)
    write_csv(folder / "p1.csv", {"x": [1], "y": ["a"]})
    write_csv(folder / "more/p0.csv", {"y": ["b"], "x": [2.5]})
    assert rows(folder)["x"].to_pylist() == [2.5, 1.0]
    assert rows(folder / "p*.csv")["x"].to_pylist() == [1]


def test_quoted_texts_keep_their_lines_and_delimiters(tmp_path):
    values = ['one, "two"\nthree', "x"]
    path = write_csv(tmp_path / "a.csv", {"t": values, "of two\nlines": [1, 2]})
    assert rows(path)["t"].to_pylist() == values
    names = open_rows(path, "csv", TableOptions()).names
    assert names == rows(path).column_names == ["t", "of two\nlines"]


def test_lines_that_end_in_a_carriage_return_are_lines_of_a_large_file_too(tmp_path):
    path = tmp_path / "old.csv"
    path.write_bytes(b"x,y\r" + b"1,2\r" * 300_000)
    assert rows(path).num_rows == 300_000


BAD = {
    "nothing": ("a.csv", "", "is empty"),
    "a header alone": ("a.csv", "x,y\n", "has no rows"),
    "a ragged row": ("a.csv", "x,y\n1,2\n1,2,3\n", "row 2: expected 2 columns, got 3"),
    "two columns of one name": ("a.csv", "x,y,x\n1,2,3\n", "has two columns named 'x'"),
    "a column without a name": ("a.csv", "x,,y\n1,2,3\n", "column 2 has no name"),
    "blank lines": ("a.csv", "\n\n\n", "a.csv is empty"),
    "UTF-16": ("a.csv", "\xff\xfex\0\n\0", "is not UTF-8"),
    "latin1": ("a.csv", "x\nK\xf6ln\n", "is not UTF-8"),
    "no line": ("a.csv", "word " * 300_000, "no line ends within a megabyte"),
    "a name of many characters": ("a.csv", "x" * 200_000 + "\n1\n", "the names of its columns"),
    "no JSON": ("a.jsonl", '{"x": 1}\n{"x": \n', "line 2 is not JSON"),
    "a list": ("a.jsonl", "[1]\n", "line 1 is not an object"),
    "no parquet": ("a.parquet", "PAR1", "can't be read"),
    "no arrow": ("a.arrow", "ARROW1", "can't be read"),
}


@pytest.mark.parametrize(("name", "content", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content.encode("latin1"))
    message = refused(tmp_path / name)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("before", ["", '"two\nlines",0\n'])  # read in parts, and in turn
def test_a_text_far_down_that_is_not_utf8_is_refused(tmp_path, before):
    rows = "".join(f"abc,{i}\n" for i in range(200_000))
    (tmp_path / "a.csv").write_bytes(f"x,i\n{before}{rows}".encode() + b"K\xf6ln,1\n")
    assert "a.csv: column 'x' is not UTF-8" in refused(tmp_path / "a.csv")


def test_a_quote_that_is_never_closed_does_not_swallow_the_rows_after_it(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"{i},a\n" for i in range(100)]
    path.write_text("i,x\n" + "".join([*lines, '7,"b\n', *lines]))
    words = "row 101: the quote of its last value is never closed"
    assert words in refused(path)
    with pytest.raises(ValueError, match=words):
        list(Rows(path, TableOptions()).blocks({"i": Cells.NUMBERS}, 1000))
    path.write_text("i,x\n" + "".join([*lines, '7,"b\nc"\n\n']))
    assert rows(path).column("x").to_pylist()[-1] == "b\nc"
    assert (
        sum(len(b.rows) for b in Rows(path, TableOptions()).blocks({"i": Cells.NUMBERS}, 1000))
        == 101
    )


def test_a_row_that_swallows_those_after_it_is_told_to_close_its_quote(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('x,y,z\n1,2,3\n1,"2,3\n1,2,3\n')
    with pytest.raises(DlrunError, match="row 2: expected 3 columns, got 2") as caught:
        rows(path)
    assert caught.value.hint.startswith("close the quote")


def test_a_table_may_have_thousands_of_columns(tmp_path):
    names = [f"column number {i}" for i in range(5_000)]  # 90 KB
    (tmp_path / "a.csv").write_text(f"{','.join(names)}\n{','.join('1' * 5_000)}\n")
    read = Rows(tmp_path / "a.csv", TableOptions())
    assert read.names == names
    [block] = read.blocks(dict.fromkeys(names[-2:], Cells.NUMBERS), 10)
    assert block.batch.num_columns == 2


def test_columns_of_another_kind_are_told_from_the_others(tmp_path):
    columns = {
        "x": pa.array([1.0, 2.0]),
        "struct": pa.array([{"a": 1}, None]),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        "structs": pa.array([[{"a": 1}], []]),
        "bytes": pa.array([b"\xff", b"\xfe"]),
        "utf8": pa.array([b"K\xc3\xb6ln", b"ok"]),
        "vector": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
        "hash": pa.array([2**64 - 1, 5], pa.uint64()),
    }
    parquet.write_table(pa.table(columns), tmp_path / "lake.parquet")
    table = rows(tmp_path / "lake.parquet")
    types = {name: type_name(table[name].type) for name in table.column_names}
    assert types.pop("map").startswith("map<string, int64")
    others = {
        "struct": "struct<a: int64>",
        "structs": "list<element: struct<a: int64>>",
        "bytes": "binary",
    }
    known = {"x": "double", "utf8": "string", "vector": "list<item: string>", "hash": LARGE}
    assert types == others | known
    assert table["vector"].to_pylist() == [["1", "2"], ["3", "4"]]
    assert table["hash"][0].as_py() == 2**64 - 1
    assert table["utf8"][0].as_py() == "Köln"
    # Of rows to predict from, only columns are read that the run takes.
    read = open_rows(tmp_path / "lake.parquet", "parquet", TableOptions())
    assert [block.batch.num_rows for block in read.blocks({"x": Cells.NUMBERS}, 9)] == [2]
    with pytest.raises(DlrunError, match="column 'struct' has type struct<a: int64>; expected"):
        list(read.blocks({"struct": Cells.VALUES}, 9))


LONG = [2**64 - 1, 2**64 - 2, None, 5, -(2**63) - 1]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("start", [[], [7] * 20_000])  # JSON lines are read in smaller parts
def test_integers_that_64_bits_do_not_hold_are_exact(tmp_path, suffix, start):
    columns = {"id": [*start, *LONG], "other": [1] * (len(start) + len(LONG))}
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        write_csv(path, columns)
    elif suffix == "jsonl":
        lines = [{"id": a, "other": b} for a, b in zip(*columns.values(), strict=True)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    else:
        columns["id"] = pa.array(columns["id"], pa.decimal128(20, 0))
        parquet.write_table(pa.table(columns), path)
    table = rows(path)
    assert type_name(table["id"].type) == LARGE
    assert to_objects(table["id"].combine_chunks())[len(start) :] == LONG


MIXED = {
    "fraction": ([2**64, 0.5], "double"),
    "later fraction": ([2**64] * 20_000 + [0.5], "double"),
    "far down": ([7] * 100_000 + [2**64 - 1], LARGE),  # beyond the first part of a CSV
    "39 digits": ([2**64, 10**38], "double"),
    "infinite": ([2**64, "inf"], "double"),
    "text": ([2**64, "abc"], "string"),
    "later text": ([2**64] * 20_000 + ["abc"], "string"),
    "small": ([2**63 - 1, 1], "int64"),
    "exponent": (["6.02e23", "3.0", "1e25"], "double"),
    "point": (["10000000000000000000.0", "20000000000000000000"], "double"),
    "exponent in a later block": ([2**64] * 20_000 + ["1e25"], "double"),
    "empty": ([2**64, "", 5], LARGE),
    "empty at first": ([""] * 20_000 + [2**64, 2**64 + 1], LARGE),  # a block of the first part
    "quoted": (['"18446744073709551616"', "a,b"], "string"),
    "plus": ([1] * 100_000 + ["+5"], "double"),  # which pyarrow takes for no integer
}


@pytest.mark.parametrize(("values", "type"), MIXED.values(), ids=MIXED)
def test_a_csv_of_large_integers_and_others_has_the_type_that_holds_both(tmp_path, values, type):
    table = rows(write_csv(tmp_path / "a.csv", {"x": values, "y": ["y" * 100] * len(values)}))
    assert type_name(table["x"].type) == type
    if type == "double":
        assert table["x"].to_pylist() == [float(value) for value in values]
    elif type == "string":
        assert table["x"].to_pylist() == [str(value) for value in values]


def test_files_of_a_table_may_hold_integers_of_both_sizes(tmp_path):
    for name, values in (("a", [1, 2]), ("b", [2**63, 3])):
        table = pa.table({"id": pa.array(values, pa.uint64())})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    read = find_files(str(tmp_path), None, TableOptions()).read()
    assert to_objects(read["id"]) == [1, 2, 2**63, 3]
    parquet.write_table(pa.table({"id": [0.5]}), tmp_path / "c.parquet")
    read = find_files(str(tmp_path), None, TableOptions()).read()
    assert read["id"].to_pylist() == [1.0, 2.0, 2.0**63, 3.0, 0.5]


def test_decimals_without_a_fraction_are_integers(tmp_path):
    labels = pa.array([Decimal(0), Decimal(1), Decimal(2)], pa.decimal128(38, 0))
    columns = {
        "label": labels,
        "short": labels.cast(pa.decimal32(9, 0)),
        "large": pa.array([Decimal(5), Decimal(-(10**30)), None], pa.decimal128(38, 0)),
        "price": pa.array([Decimal("0.5")] * 3, pa.decimal128(5, 1)),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=1)
    table = rows(tmp_path / "a.parquet")
    types = ["int64", "int64", "decimal128(38, 0)", "double"]
    assert [str(column.type) for column in table.columns] == types
    assert table["large"].to_pylist() == [Decimal(5), Decimal(-(10**30)), None]


def test_a_column_is_of_another_kind_if_it_is_in_one_of_the_files(tmp_path):
    for name, values in (("a", [None, None]), ("b", [1, 2]), ("c", [{"z": 1}, None]), ("d", [3])):
        parquet.write_table(pa.table({"y": values}), tmp_path / f"{name}.parquet")
    table = rows(tmp_path)
    assert (type_name(table["y"].type), len(table)) == ("struct<z: int64>", 7)
    assert table["y"].null_count == 3


def test_a_column_of_texts_one_of_which_is_not_utf8_is_told_from_bytes(tmp_path):
    texts = [b"good"] * 299 + [b"K\xf6ln"]
    values = {"text": pa.array(texts), "mostly": pa.array([b"\xff"] * 299 + [b"ok"])}
    parquet.write_table(pa.table(values), tmp_path / "a.parquet")
    table = rows(tmp_path / "a.parquet")
    assert type_name(table["text"].type) == NOT_UTF8
    assert type_name(table["mostly"].type) == "binary"


def test_texts_beside_lists_are_refused(tmp_path):
    texts = [*[{"x": "a"}] * 10_000, {"x": ["a"]}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in texts))
    assert """column 'x' has texts, and "['a']", which is none""" in refused(path)


def test_a_row_with_a_list_or_object_to_predict_leaves_the_others_as_they_are(tmp_path):
    lines = (
        {"x": 1, "t": "a", "b": 1.0, "tags": ["u", "v"]},
        {"x": {"k": 1}, "t": "b"},
        {"x": 2, "t": ["a", "b"]},
        {"x": 3, "t": "c", "tags": [["u"]]},
        {"x": 4, "t": "d", "b": 0.0, "unused": {"k": 1}},
        {"x": 5, "t": "e", "b": ["q"]},
    )
    text = [*map(json.dumps, lines), '{"x": 6, "t": "f", "x": 7}']
    (tmp_path / "new.jsonl").write_text("\n".join(text))
    read = open_rows(tmp_path / "new.jsonl", "jsonl", TableOptions())
    wanted = {"x": Cells.NUMBERS, "t": Cells.TEXTS, "b": Cells.VALUES, "tags": Cells.LISTS}
    [block] = read.blocks(wanted, 10)
    assert block.rows.tolist() == [1, 3, 5]
    assert block.batch.to_pydict() == {
        "x": [1, 2, 4], "t": ["a", '["a", "b"]', "d"], "b": [1.0, None, 0.0],
        "tags": [["u", "v"], None, None],
    }  # fmt: skip
    assert block.wrong == {
        2: """column 'x': {"k": 1} is not a number or text""",
        4: """column 'tags': [["u"]] is not a list of texts""",
        6: """column 'b': ["q"] is not a number or text""",
        7: "has the key 'x' twice",
    }


def test_no_type_of_a_row_of_json_lines_depends_on_the_other_rows(tmp_path):
    values = [10**25 + 1, 1.5, 7.0, 7, -0.0, 1e16, 10**25, 10**45, True, "7.0", "a", None, "NaN"]
    lines = [json.dumps({"x": value, "other": 1}) for value in values]
    lines.append('{"x": NaN, "other": 1}')

    def texts(lines, cells):
        (tmp_path / "new.jsonl").write_text("\n".join(lines))
        rows = open_rows(tmp_path / "new.jsonl", "jsonl", TableOptions())
        [block] = rows.blocks({"x": cells, "other": Cells.VALUES}, 100)
        return to_texts(block.batch.column("x")).to_pylist()

    for cells in (Cells.TEXTS, Cells.TEXTS | Cells.NUMBERS):
        alone = [text for line in lines for text in texts([line], cells)]
        assert texts(lines, cells) == alone
    assert alone[:3] == ["10000000000000000000000001", "1.5", "7"]
    truth = json.dumps({"x": True, "other": 1})
    assert texts([truth], Cells.NUMBERS) == texts([truth, lines[3]], Cells.NUMBERS)[:1] == ["1"]


def test_texts_of_json_lines_are_the_same_in_every_block(tmp_path):
    values = [7.0, 1.5, *["a"] * 10_000, 7.0, 1.5]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps({'x': value})}\n" for value in values))
    table = rows(path)["x"].to_pylist()
    assert table[:2] == table[-2:] == ["7", "1.5"]


def test_a_column_of_lists_is_predicted_from_only_where_it_may_have_them(tmp_path):
    parquet.write_table(pa.table({"tags": [["u"], ["v"]]}), tmp_path / "new.parquet")
    read = open_rows(tmp_path / "new.parquet", "parquet", TableOptions())
    [block] = read.blocks({"tags": Cells.LISTS}, 10)
    assert block.batch.to_pydict() == {"tags": [["u"], ["v"]]}
    with pytest.raises(DlrunError, match="column 'tags' has lists; expected numbers, texts"):
        list(read.blocks({"tags": Cells.VALUES}, 10))


def test_files_of_one_table_have_the_same_columns(tmp_path):
    write_csv(tmp_path / "a.csv", {"x": [1]})
    write_csv(tmp_path / "b.csv", {"y": [1]})
    assert "no 'x', 'y' more" in refused(tmp_path)


def test_a_file_that_is_not_there_is_named_with_its_nearest(tmp_path):
    write_csv(tmp_path / "houses.csv", {"x": [1]})
    with pytest.raises(DlrunError) as caught:
        find_files(str(tmp_path / "house.csv"), None, TableOptions())
    assert "houses.csv" in caught.value.hint
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(DlrunError, match="expected files of one kind"):
        find_files(str(tmp_path / "notes.doc"), None, TableOptions())


def test_a_pipe_in_the_place_of_a_table_is_told(tmp_path):
    os.mkfifo(tmp_path / "rows.csv")  # as the shell's <(head rows.csv) is
    with pytest.raises(DlrunError, match="no such file") as caught:
        find_files(str(tmp_path / "rows.csv"), None, TableOptions())
    assert caught.value.hint == "it is a pipe or a device: write what it holds into a file"
