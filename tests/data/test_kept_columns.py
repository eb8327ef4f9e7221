"""Columns that an earlier version saved are read, encode rows as they did and keep their form."""

import json
from pathlib import Path

import numpy as np

from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.readers import Request, open_reader

KEPT = Path(__file__).parent / "kept_columns"  # written by the version before columns had cells


def test_saved_columns_encode_rows_as_the_version_that_fitted_them():
    text = (KEPT / "inputs.json").read_text(encoding="utf-8")
    spec = spec_from_json(text, source="inputs.json")
    assert spec_to_json(spec) == text
    [part] = open_reader(Request(KEPT / "rows.csv", spec, labels=True)).parts()
    expected = json.loads((KEPT / "encoded.json").read_text())
    assert list(part.inputs) == list(expected["inputs"])
    for name, values in expected["inputs"].items():
        # Sines differ in the last bit between processors.
        np.testing.assert_allclose(part.inputs[name], values, rtol=1e-6, atol=1e-6)
    assert part.labels.tolist() == expected["labels"]
    assert not part.wrong
