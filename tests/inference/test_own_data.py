"""How a user's file is read: as the run's config reads tables."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dlrun.data.input_spec import ArraySpec, InputSpec
from dlrun.data.table_formats import TableOptions
from dlrun.errors import DlrunError
from dlrun.inference.own_data import make_request


def options(**data):
    spec = InputSpec(ArraySpec((3,), "float32"), ArraySpec((), "int64"), num_classes=2)
    config = SimpleNamespace(data=data, batch_size=8)
    return make_request(Path("new.csv"), spec, config, key="--input").table


def test_keys_of_a_table_mean_what_they_mean_there_and_are_checked():
    data = {"_target_": "dlrun.data.table.table", "delimiter": r"\t", "missing": ["?", 0]}
    assert options(**data) == TableOptions("\t", ".", ("?", "0"))
    with pytest.raises(DlrunError, match="delimiter='ab'"):
        options(**data | {"delimiter": "ab"})


def test_a_data_set_of_ones_own_may_have_the_same_keys_for_something_else():
    assert options(_target_="my.rings", missing=0.1) == TableOptions()
    assert options(_target_="my.rings", delimiter="end of text", decimal=3) == TableOptions()
