"""An exported model of a run on a table, and its preprocessing beside it."""

import numpy as np
import pytest

from trainings import worker

SCRIPT = """
import keras
import pyarrow as pa
from pathlib import Path
from dlrun.data.input_spec_json import spec_from_json

path = Path({path!r}) / "model.keras"
saved = path.with_suffix(".inputs.json")
spec = spec_from_json(saved.read_text(), source=str(saved))
inputs = spec.preprocess({{name: pa.array(values) for name, values in {table!r}.items()}})
model = keras.saving.load_model(path)
found["outputs"] = model.predict(inputs, verbose=0).tolist()
"""


@pytest.mark.trains
def test_its_outputs_are_in_the_units_of_the_target(homes):
    rows = homes.predict("price")
    table = {name: values for name, values in homes.new.items() if name != "house_id"}
    script = SCRIPT.format(path=str(homes.run("price")), table=table)
    outputs = worker("jax").run(homes.cwd, script)["outputs"]
    expected = [[float(row["predicted_price"])] for row in rows]
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
