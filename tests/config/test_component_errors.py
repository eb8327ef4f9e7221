"""An error of a component names the line of its author."""

import pytest

from dlrun.config.instantiate import component_errors
from dlrun.errors import DlrunError


def test_an_error_names_its_line_also_in_a_folder_called_hydra(tmp_path):
    file = tmp_path / "hydra" / "own_models.py"
    scope = {}
    exec(compile("def build():\n    raise ValueError('no units')\n", file, "exec"), scope)
    with pytest.raises(DlrunError) as raised, component_errors("model", "own_models.build"):
        scope["build"]()
    assert raised.value.message == (
        f"model: own_models.build raised ValueError: no units ({file}, line 2)"
    )
