"""Each refusal of a file of a table has a fix that can be typed, whatever the file's format."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from dlrun.config.compose import compose
from dlrun.data.table import table
from dlrun.errors import DlrunError

ROW = '{"a": 1, "y": "no"}\n'
FILES = {
    "e.csv": (b"", "is empty", "its first row names the columns"),
    "e.jsonl": (b"", "has no rows", 'such as {"area": 80'),
    "e.parquet": (b"", "is empty", "a row for each sample"),
    "rows.csv": (b"a,y\n", "has no rows", "its first row names the columns"),
    "rows.jsonl": (b"\n\n", "has no rows", 'such as {"area": 80'),
    "cut.parquet": (b"PAR1 cut", "can't be read", "see whether it is the right file"),
    "cut.jsonl": (f"{ROW}{ROW[:9]}".encode(), "line 2 is not JSON: '{\"a\": 1,'", "jq -c"),
    "one.jsonl": (
        f"[{ROW}]".encode().replace(b"\n", b""),
        "line 1 is not an object",
        "jq -c '.[]'",
    ),
    "two.jsonl": ((ROW + ROW.replace('"y"', '"a"')).encode(), "line 2 has the key 'a' twice", ""),
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("DLRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def refused(path, **options):
    with pytest.raises(DlrunError) as caught:
        table(path=path, target="y", **options).dataset()
    assert "\n" not in caught.value.message
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_rows(tmp_path, name):
    content, problem, fix = FILES[name]
    (tmp_path / name).write_bytes(content)
    message, hint = refused(name)
    assert problem in message
    assert fix in hint


def test_a_text_among_numbers_may_be_called_missing_where_there_is_such_a_key(tmp_path):
    rows = [{"a": str(n // 4), "y": "no" if n % 2 else "yes"} for n in range(60)]
    rows[7]["a"] = "n/a ?"
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    message, hint = refused("t.jsonl")
    assert "row 8 is 'n/a ?'" in message
    [key] = [word for word in hint.split("'") if word.startswith("data.missing")]
    config = compose(["data=jsonl", "data.path=t.jsonl", "data.target=y", key])
    assert config.data["missing"] == ["n/a ?"]
    pa.parquet.write_table(pa.Table.from_pylist(rows), "t.parquet")
    assert refused("t.parquet")[1] == "correct it, or data.columns.a=category"
