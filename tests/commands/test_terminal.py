"""What a command prints as its result."""

import io
import json

from dlrun.commands.terminal import print_result


def test_a_metric_that_is_not_a_number_is_printed_as_null() -> None:
    out = io.StringIO()
    print_result(out, {"test": {"loss": float("nan"), "of": [float("inf")]}}, True, str)
    assert out.getvalue() == '{"test": {"loss": null, "of": [null]}}\n'
    assert json.loads(out.getvalue())


def test_a_table_for_people_still_says_nan() -> None:
    out = io.StringIO()
    print_result(out, {"loss": float("nan")}, False, lambda result: f"loss {result['loss']}")
    assert out.getvalue() == "loss nan\n"
