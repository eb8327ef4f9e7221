"""Check what is asked of an export, before a framework is imported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.config.schema import Config
from dlrun.data.tree import leaves
from dlrun.errors import DlrunError
from dlrun.exports import formats
from dlrun.exports.content import FILE
from dlrun.inference.export_job import PRECISION
from dlrun.inference.loaded_run import read_saved_spec
from dlrun.runs.directory import RunDir
from dlrun.system.files import exists, is_dir, is_file, refusal_code
from dlrun.system.override_text import split_override

if TYPE_CHECKING:
    from dlrun.exports.formats._protocols import Format

FLOAT16 = 65_504  # its largest number
FIXED = tuple(override.partition("=")[0] for override in PRECISION)


def check_request(
    format: str, module: Format, overrides: Sequence[str], quantize: str | None
) -> None:
    """Check that a format has what is asked for.

    Raises:
        DlrunError: If it can't be quantized so, or an override changes how it is computed.
    """
    if quantize is not None and quantize not in module.QUANTIZES:
        others = [f"--format {name}" for name in _writers_of(quantize)]
        kinds = f"; it has {', '.join(module.QUANTIZES)}" if module.QUANTIZES else ""
        raise DlrunError(
            f"--quantize {quantize}: {format} files are not quantized so{kinds}",
            hint=" or ".join(others) or None,
        )
    for override in overrides:
        key = split_override(override)[0].partition(".")[0]
        if key in FIXED:
            raise DlrunError(
                f"{override}: files are written and compared in float32 on the CPU",
                hint="leave it out; --quantize writes other precisions",
            )


def refuse_large_targets(run: RunDir, module: Format) -> None:
    """Refuse targets whose units float16 can't hold: the file gives numbers in them.

    Args:
        run: The run that is written.
        module: The format.

    Raises:
        DlrunError: If there is one.
    """
    spec = read_saved_spec(run)
    targets = [] if spec is None or spec.targets is None else leaves(spec.targets)
    for target in targets:
        for name, mean, deviation in zip(
            target.columns, target.mean, target.deviation, strict=False
        ):
            if (large := max(abs(mean), deviation)) > FLOAT16 / 4:
                other = "" if "int8" in module.QUANTIZES else f"--format {_writers_of('int8')[0]} "
                raise DlrunError(
                    f"--quantize float16: {name} is about {large:,.0f}, and float16 ends at"
                    f" {FLOAT16:,}",
                    hint=f"{other}--quantize int8, which keeps the units in float32",
                )


def _writers_of(quantize: str) -> list[str]:
    """The formats that can be quantized so."""
    return [name for name in formats.names() if quantize in formats.module(name).QUANTIZES]


def find_writer(format: str, config: Config) -> str:
    """The backend to rebuild the model on: the one that writes the format best.

    A model that computes on one backend alone is written there, if that one can write it.

    Raises:
        DlrunError: If the model can't be written in this format, or the backend is not installed.
    """
    from dlrun import backends

    module, only = formats.module(format), config.model.get("only_backend")
    if only is None:
        writer: str = module.BACKEND or config.backend.name
    elif _can_write(module, only):
        writer = only
    else:
        able = [name for name in formats.names() if _can_write(formats.module(name), only)]
        raise DlrunError(
            f"--format {format} can't hold model={config.choices.get('model')}, which computes on"
            f" backend={only} alone",
            hint=" or ".join(f"--format {name}" for name in able),
        )
    backends.require(writer, training=False)
    return writer


def _can_write(module: Format, backend: str) -> bool:
    """Whether a format can be written from a network in one backend's own terms."""
    return backend in (module.BACKEND, *module.NATIVE)


def output_path(
    run: RunDir, format: str, suffix: str, output: Path | None, quantize: str | None
) -> Path:
    """Where the file goes; its directory exists.

    Raises:
        DlrunError: If it can't be written, or the name is of another format.
    """
    if output is None:
        folder = run.path / "exports" / (f"{format}-{quantize}" if quantize else format)
        path = folder / f"model{suffix}"
    else:
        path = output
        if suffix and path.suffix != suffix:
            raise DlrunError(
                f"--output {path}: expected a name that ends in {suffix} for --format {format}",
                hint=f"--output {path.with_suffix(suffix)}",
            )
        if not suffix and exists(path) and not is_file(path / FILE):
            raise DlrunError(
                f"--output {path} exists, and is no export of dlrun",
                hint="name a directory that does not exist",
            )
        if suffix and is_dir(path):
            raise DlrunError(
                f"--output {path} is a directory", hint=f"--output {path / 'model'}{suffix}"
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DlrunError(
            f"can't write to {path.parent}: {error.strerror}", exit_code=refusal_code(error)
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise DlrunError(f"can't write to {path.parent}", hint="--output PATH")
    return path
