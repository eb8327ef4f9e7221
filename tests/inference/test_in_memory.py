"""Columns in memory are read as a file of them is."""

import pytest

from dlrun.errors import DlrunError
from dlrun.inference.in_memory import frame_as_file


@pytest.mark.parametrize("column", [[2**64, 5], [1, "a"], [object()]])
def test_a_column_that_pyarrow_cannot_hold_is_refused_in_one_line(column):
    with (
        pytest.raises(DlrunError, match="inputs: the columns can't be read: ") as refused,
        frame_as_file({"a": column}),
    ):
        pass
    assert "\n" not in refused.value.message
