"""``dlrun new``: a project that works at once."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dlrun import __version__
from dlrun.errors import DlrunError
from dlrun.system.files import dump_json, exists, is_file, refusal_code, write_text

FILES = Path(__file__).parent / "project_files"
PACKAGE = "PACKAGE"  # the folder that becomes the project's package
PINNED = ("keras", "jax", "numpy", "hydra-core", "omegaconf")
COPIED_BYTES = 20 * 2**20  # a larger table stays where it is
SCHEMAS = ("model", "data")


def new(directory: Path, *, source: str | None = None, target: str | None = None) -> dict[str, Any]:
    """Write a project: a model, a data set, their options, a test, a CI workflow.

    Args:
        directory: Where; it must not exist, or be empty.
        source: A data set of the user's own for it, as ``FORMAT=PATH``, such as ``csv=table.csv``.
            A file of up to 20 MB is copied into the project.
        target: The column of it to predict; by default the last one.

    Returns:
        ``directory``, ``package``, ``train`` (the overrides to begin with), ``target``, and
        ``files``, paths in the project.

    Raises:
        DlrunError: If something is there already, or the data can't be read.
    """
    if exists(directory) and (not directory.is_dir() or any(directory.iterdir())):
        raise DlrunError(
            f"{directory} is not empty", hint="name a directory that does not exist yet"
        )
    name = directory.resolve().name
    train = "experiment=rings"
    if source is not None:
        kind, path = _parse(source)
        train = f"data={_word(path.stem)}"
    # Beside its place, so that a project is whole or not there.
    partial = directory.resolve().with_name(f".{name}.partial-{os.getpid()}")
    try:
        values = {
            "name": name,
            "package": _package(name),
            "train": train,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }
        for place, text in _texts(values):
            (partial / place).parent.mkdir(parents=True, exist_ok=True)
            write_text(partial / place, text)
        if source is not None:
            target = _add_data(partial, directory, kind, path, target)
        _add_schemas(partial)
        if exists(directory):
            directory.rmdir()
        partial.rename(directory)
    except OSError as error:
        raise DlrunError(
            f"{directory} can't be written: {error.strerror or error}",
            exit_code=refusal_code(error),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())
    return {
        "directory": str(directory),
        "package": values["package"],
        "train": train,
        "target": target,
        "files": files,
    }


def _texts(values: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """The files of the project: path and text."""
    for path in sorted(FILES.rglob("*.in")):
        target = str(path.relative_to(FILES)).removesuffix(".in")
        text = path.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"{{{key}}}", value)
        yield Path(target.replace(PACKAGE, values["package"])), text
    yield Path("requirements.txt"), _requirements()


def _requirements() -> str:
    """What the project was made with."""
    lines = [f"dlrun[jax,data]=={__version__}"]
    for package in PINNED:
        try:
            lines.append(f"{package}=={version(package)}")
        except PackageNotFoundError:  # such as jax, where another backend is installed
            lines.append(package)
    return "\n".join([*lines, "pytest"]) + "\n"


def _package(name: str) -> str:
    """A name for the project's package that shadows nothing."""
    word = _word(name)
    is_taken = word in sys.stdlib_module_names or keyword.iskeyword(word)
    if is_taken or importlib.util.find_spec(word) is not None:
        word += "_project"
    return word


def _word(text: str) -> str:
    word = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "mine"
    return f"_{word}" if word[0].isdecimal() else word


def _parse(source: str) -> tuple[str, Path]:
    """The option of the ``data`` group and the path."""
    kind, equals, text = source.partition("=")
    if not equals or not text:
        raise DlrunError(f"--from {source}: expected FORMAT=PATH", hint="--from csv=table.csv")
    path = Path(text)
    if not exists(path):
        raise DlrunError(f"--from {source}: there is no {path}")
    return kind, path


def _add_data(
    partial: Path, directory: Path, kind: str, path: Path, target: str | None
) -> str | None:
    """Write the option of the user's data set, with every choice that was found in it.

    Returns:
        The column that is predicted; None if the data are not a table.
    """
    from dlrun.api.data import describe_data

    option = _word(path.stem)
    file = partial / "configs/data" / f"{option}.yaml"
    words = [f"data={kind}", f"data.path={path.resolve()}"]
    if target is None and (columns := describe_data(words).get("columns")):
        target = str(columns[-1]["name"])
    describe_data([*words, f"data.target={target}"] if target else words, save=file)
    if is_file(path) and path.stat().st_size <= COPIED_BYTES:
        (partial / "data").mkdir()
        shutil.copyfile(path, partial / "data" / path.name)
        place = f"data/{path.name}"
    else:
        place = os.path.relpath(path.resolve(), directory.resolve())
    head = (
        f"# The data of {path.name}, with each choice that was found in it.\n"
        f"#   dlrun train data={option}\n"
        "# yaml-language-server: $schema=../../schemas/data.json\n"
    )
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    body = "".join(line for line in lines if not line.startswith("#"))
    write_text(file, head + body.replace(str(path.resolve()), place))
    return target


def _add_schemas(partial: Path) -> None:
    """The JSON schemas that the options name, for editors."""
    from dlrun.config.json_schema import json_schema

    (partial / "schemas").mkdir()
    for group in SCHEMAS:
        text = dump_json(json_schema(group), indent=2)
        write_text(partial / "schemas" / f"{group}.json", f"{text}\n")
