"""``dlrun data``: what is in a data set, and what a run would do with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlrun.assembly.check_data import check_form
from dlrun.config.compose import compose, to_plain_yaml
from dlrun.config.groups import without_kept
from dlrun.config.instantiate import instantiate
from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError
from dlrun.system.files import exists, write_text


def describe_data(
    overrides: Sequence[str] = (),
    *,
    save: Path | None = None,
    plot: Path | None = None,
    project: Project = HERE,
) -> dict[str, Any]:
    """Describe the data set of a config, without importing a framework.

    Args:
        overrides: As for ``dlrun train``.
        save: Write an option of the ``data`` group that makes each choice explicit.
        plot: Draw the distributions of the columns, or some images of each class.
        project: The user's own options, and what is trusted.

    Returns:
        A :class:`dlrun.data.source.Description` as a mapping, as ``dlrun data --json`` prints it.

    Raises:
        DlrunError: If the data can't be read or do not fit the config, or a file can't be written.
    """
    if plot is not None:
        from dlrun.system.pictures import check_plot

        check_plot(plot)
    config = compose(overrides, project=project, find=False)
    from dlrun.data.dataset import Dataset
    from dlrun.data.description.arrays import describe_dataset
    from dlrun.data.source import Source

    option = config.choices.get("data", "data")
    data = instantiate("data", without_kept("data", config.data))
    if isinstance(data, Source):
        description = data.describe()
    elif isinstance(data, Dataset):
        check_form(data, config.data["_target_"])
        description = describe_dataset(data, str(option))
    else:
        raise DlrunError(
            f"data: {config.data['_target_']} returned {type(data).__name__}",
            hint="return a dlrun.data.dataset.Dataset",
        )
    result = asdict(description)
    if save is not None:
        _save(save, option, config.data, description.explicit, overrides)
        result["saved"] = str(save)
    if plot is not None:
        from dlrun.data.description.pictures import pictures_of
        from dlrun.report.data import draw_data, draw_pictures

        pictures = pictures_of(data)
        draw_pictures(pictures, plot) if pictures else draw_data(result, plot)
        result["plot"] = str(plot)
    return result


def _save(
    path: Path,
    option: str,
    data: Mapping[str, Any],
    explicit: Mapping[str, Any],
    overrides: Sequence[str],
) -> None:
    """Write an option with the arguments of the config, and each choice that was found."""
    if path.suffix != ".yaml":
        raise DlrunError(
            f"--save {path}: expected a .yaml file", hint="--save configs/data/mine.yaml"
        )
    if not explicit:
        raise DlrunError(f"--save {path}: data={option} finds nothing that could be saved")
    if exists(path):
        raise DlrunError(
            f"--save {path}: the file exists", hint="remove it, or choose another name"
        )
    command = shlex.join(["dlrun", "data", *overrides])
    text = f"# Made by: {command}\n#   dlrun train data={path.stem}\n"
    text += to_plain_yaml({**data, **explicit})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise DlrunError(
            f"--save {path} can't be written: {error.strerror}", exit_code=1
        ) from error
