"""The formats of ``dlrun export``: each file of the room is one, and the pages say so."""

import re
from pathlib import Path

import pytest

from dlrun.exports import formats
from dlrun.exports.agreement import TOLERANCES
from dlrun.exports.formats._protocols import Format, RunFormat

PAGE = Path(__file__).parents[2] / "docs/how-to/export.md"


@pytest.mark.parametrize("name", formats.names())
def test_a_format_has_all_that_export_asks_of_it(name):
    form = formats.module(name)
    protocol = RunFormat if form.IS_RUN else Format
    asked = {*Format.__annotations__, *(of for of in dir(protocol) if of[0] != "_")}
    assert sorted(of for of in asked if not hasattr(form, of)) == []
    assert form.MODES[0] == "float32" and set(form.MODES) <= TOLERANCES.keys()


def test_a_file_is_of_one_format():
    suffixes = [formats.module(name).SUFFIX for name in formats.names()]
    assert len(set(suffixes)) == len(suffixes)


def test_the_page_has_a_row_for_each_format():
    table = PAGE.read_text(encoding="utf-8").partition("## Formats")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.M)) == formats.names()
