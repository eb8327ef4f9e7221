"""The options of each config group: directories of YAML files, read without Hydra."""

import re
import shlex
from pathlib import Path

import dlrun
from dlrun.config.groups import GROUPS
from dlrun.errors import DlrunError
from dlrun.system.files import is_dir, is_file

FOR_TOOLS = ("# @package", "# yaml-language-server:")  # comments that no reader needs


def shipped_configs() -> Path:
    """The directory of the options that ship with dlrun, in a checkout or in a wheel."""
    directories = [Path(path) / "configs" for path in dlrun.__path__]
    return next(path for path in directories if is_file(path / "dlrun.yaml"))


def config_dirs(config_dir: Path | None = None) -> list[Path]:
    """The directories to search for options, the user's own first.

    Args:
        config_dir: The user's own options, or a project with these in ``configs``; by default the
            working directory.

    Raises:
        DlrunError: If ``config_dir`` is not a directory; Hydra would silently ignore it.
    """
    if config_dir is not None and not is_dir(config_dir):
        raise DlrunError(
            f"--config-dir {config_dir}: no such directory",
            hint="expected groups of options, as in DIR/model/my_model.yaml",
        )
    user_dir = Path("configs") if config_dir is None else _options_of(config_dir)
    shipped = shipped_configs().resolve()
    is_user_dir = is_dir(user_dir) and user_dir.resolve() != shipped
    return [user_dir.resolve(), shipped] if is_user_dir else [shipped]


def module_dirs(config_dir: Path | None = None) -> tuple[Path, ...]:
    """The directories to search for the user's own modules, the working directory first.

    Args:
        config_dir: As for :func:`config_dirs`. Modules lie in the project, beside its ``configs``.
    """
    here = Path.cwd()
    if config_dir is None:
        return (here,)
    project = config_dir.resolve()
    parents = () if _options_of(project) != project else (project.parent,)
    return tuple(dict.fromkeys((here, project, *parents)))


def project_dir(config_dir: Path | None = None) -> Path:
    """What to name after ``--config-dir``, to find the same options and modules from elsewhere."""
    return (config_dir or Path.cwd()).resolve()


def _options_of(project: Path) -> Path:
    inner = project / "configs"
    return inner if is_dir(inner) else project


def list_options(config_dir: Path | None = None) -> dict[str, dict[str, str]]:
    """The options of every group, each with the first comment line of its YAML file.

    A line that only names the file, as in a copied example, is skipped.
    """
    options: dict[str, dict[str, str]] = {group: {} for group in GROUPS}
    for directory in reversed(config_dirs(config_dir)):
        for group, descriptions in options.items():
            for path in sorted((directory / group).glob("*.yaml")):
                descriptions[path.stem] = first_comment(path)
    return options


def example(group: str, option: str, config_dir: Path | None = None) -> list[str]:
    """The overrides of the command in an option's YAML file; empty without one."""
    paths = [directory / group / f"{option}.yaml" for directory in config_dirs(config_dir)]
    with next(path for path in paths if is_file(path)).open(encoding="utf-8") as lines:
        comments = (line.strip("# \n") for line in lines if line.startswith("#"))
        command = next((c for c in comments if c.startswith("dlrun train ")), "")
    return [word for word in shlex.split(command)[2:] if "=" in word]


def first_comment(path: Path) -> str:
    """What an option says of itself: the first comment line that is meant for a reader.

    A line that only names the file is not, nor one for Hydra or for an editor.
    """
    names_file = rf"# (\S*/)?{re.escape(f'{path.parent.name}/{path.name}')}"
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(FOR_TOOLS) or re.fullmatch(names_file, line.rstrip()):
                continue
            return line.lstrip("# ").strip() if line.startswith("#") else ""
    return ""
