"""Find out before training whether the model can be written in the formats of the config."""

from __future__ import annotations

import sys
from typing import Any

from dlrun.config.groups import without_kept
from dlrun.config.instantiate import component_errors, partial
from dlrun.config.schema import Config
from dlrun.errors import DlrunError


def check_exports(model: Any, config: Config) -> None:
    """Call the check of each format that has one.

    Raises:
        DlrunError: If the model can't be written in a format.
    """
    for name, spec in config.export.items():
        export: Any = partial(f"export.{name}", without_kept("export", spec))
        function = export.func
        check = f"check_{function.__name__.removeprefix('export_')}"
        if (check_format := getattr(sys.modules[function.__module__], check, None)) is not None:
            try:
                with component_errors(f"export.{name}", f"{function.__module__}.{check}"):
                    check_format(model)
            except DlrunError as error:
                error.exit_code = 2  # nothing was started
                raise
