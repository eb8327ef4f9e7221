"""What an exported file says of itself: inputs, outputs, preprocessing, and the run it is from.

It travels in the file's own metadata where the format has room for it, and as JSON beside it. With
it, :mod:`dlrun.inference.exported_file` takes the file as a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dlrun.data.input_spec import InputSpec
from dlrun.data.input_spec_json import spec_from_json, spec_to_json
from dlrun.data.preprocessing import Step
from dlrun.data.preprocessing.standardize import Standardize, Statistics
from dlrun.data.tree import Arrays, leaves, leaves_by_name
from dlrun.errors import DlrunError

VERSION = 1
KEY = "dlrun"  # of the metadata; FILE where the format holds files
FILE = "dlrun.json"
INPUT, OUTPUT = "input", "output"  # the names of a single one
LEAST_DEVIATION = 1e-6  # Keras' Normalization takes 1e-7 in place of a smaller one
DTYPES = {"uint8": "uint8", "int64": "int64", "uint32": "int64"}  # others are held by int32
WHOLE, ROUNDING = 1e-3, 1e-6  # how far from a whole number a scaled one may be, and its share


@dataclass(frozen=True)
class FileInput:
    """One input of an exported file.

    Args:
        name: Its name in the file.
        shape: Of one sample.
        dtype: ``float32``, ``uint8``, ``int32`` or ``int64``.
        scale: The file divides integers by it; None if it does not.
        statistics: The file standardizes with them; None if it does not.
        divisor: Integers that come as floats were divided by it.
        below: Ids are below it; None if they are not ids.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    statistics: Statistics | None = None
    divisor: float = 1.0
    below: int | None = None

    @property
    def is_integer(self) -> bool:
        """Whether the file takes integers."""
        return self.dtype != "float32"

    def convert(self, values: np.ndarray) -> np.ndarray:
        """Samples of a data set, ``(samples, *shape)``, as the file takes them.

        Args:
            values: After all preprocessing. Floats in place of integers were scaled.

        Raises:
            ValueError: If the file takes integers, and these are none.
        """
        if self.statistics is not None:
            flat = values.reshape(len(values), -1).astype(np.float64)
            raw = flat * self.statistics.deviation + self.statistics.mean
            return raw.astype(np.float32).reshape(values.shape)
        if not self.is_integer:
            return values.astype(np.float32, copy=False)
        if values.dtype.kind == "f":
            unscaled = values.astype(np.float64) * self.divisor
            whole = np.rint(unscaled)
            close = np.abs(unscaled - whole) <= WHOLE + ROUNDING * np.abs(unscaled)
            if not close.all():  # nor if one is not finite
                raise ValueError(f"the file's {self.name} takes {self.dtype}, not fractions")
            values = whole
        limits = np.iinfo(self.dtype)
        least, most = (limits.min, limits.max) if self.below is None else (0, self.below - 1)
        if values.size and not (least <= values.min() and values.max() <= most):
            raise ValueError(f"the file's {self.name} takes {self.dtype} from {least} to {most}")
        return values.astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Content:
    """What a file is.

    Args:
        format: The format's name.
        spec: The run's, matched to its model.
        epoch: Of the weights.
        config: The run's, resolved.
        record: What of the run's ``run.json`` is needed.
        outputs: For each output in order: name, shape, activation, and names of classes.
        quantize: ``int8``, ``float16`` or None.
        license: Of the weights; None if unknown.
        below: By the name of an input of ids, the number that they are below.
    """

    format: str
    spec: InputSpec
    epoch: int
    config: Mapping[str, Any]
    record: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...]
    quantize: str | None = None
    license: str | None = None
    below: Mapping[str, int] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[FileInput, ...]:
        """The file's inputs, in order."""
        named = leaves_by_name(self.spec.inputs).items()
        return tuple(self._input(name, array.shape, array.dtype) for name, array in named)

    def _input(self, name: str | None, shape: tuple[int, ...], dtype: str) -> FileInput:
        title = INPUT if name is None else str(name)
        if (statistics := _statistics_of(self.spec, name)) is not None:
            return FileInput(title, shape, "float32", statistics=statistics)
        scale = self.spec.scale_of(name)
        if not np.issubdtype(np.dtype(dtype), np.integer) or scale == 1:
            return FileInput(title, shape, "float32")
        kept = "int32" if scale is None else DTYPES.get(dtype, "int32")
        return FileInput(title, shape, kept, scale, None, self.spec.scale, self.below.get(title))

    @property
    def steps_before(self) -> tuple[Step, ...]:
        """The preprocessing that a sample needs before the file takes it."""
        steps = self.spec.preprocessing
        return steps[:-1] if any(one.statistics for one in self.inputs) else steps

    def convert(self, samples: Arrays) -> dict[str, np.ndarray]:
        """Samples of a data set as the file takes them, by the names of the file's inputs.

        Raises:
            ValueError: As :meth:`FileInput.convert`.
        """
        return {
            one.name: one.convert(np.asarray(array))
            for one, array in zip(self.inputs, _in_order(self.spec, samples), strict=True)
        }

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Samples as a user has them as the file takes them, with the preprocessing before it.

        Args:
            raw: Lists or arrays by name: of the file's inputs, or of a table's columns.

        Raises:
            ValueError: If one is missing, or not what the file takes.
        """
        samples: Any = dict(raw)
        for step in self.steps_before:
            samples = step.apply(samples)
        if not isinstance(samples, Mapping):
            samples = {self.inputs[0].name: samples}
        found = {}
        for one in self.inputs:
            if one.name not in samples:
                raise ValueError(f"there is no {one.name}, an input of the file")
            array = np.asarray(samples[one.name])
            if array.shape[1:] != one.shape or array.dtype.kind not in "biuf":
                raise ValueError(f"{one.name}: expected numbers of shape (samples, {one.shape})")
            if one.is_integer and array.dtype.kind == "f":
                raise ValueError(f"{one.name}: expected integers, unscaled")
            found[one.name] = one.convert(array) if one.is_integer else array.astype(np.float32)
        return found

    def to_json(self) -> str:
        """As JSON, for :meth:`from_json`."""
        content = {
            KEY: VERSION,
            "format": self.format,
            "quantize": self.quantize,
            "inputs": [_describe(one) for one in self.inputs],
            "outputs": [dict(output) for output in self.outputs],
            "preprocessing_before": [type(step).__name__.lower() for step in self.steps_before],
            "epoch": self.epoch,
            "license": self.license,
            "run": dict(self.record),
            "below": dict(self.below),
            "integers": sorted(self.spec.integers, key=str),
            "spec": json.loads(spec_to_json(self.spec)),
            "config": dict(self.config),
        }
        return json.dumps(content, indent=1, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Content:
        """Read it from an untrusted source.

        Raises:
            DlrunError: If it is damaged, or of another version.
        """
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or content.get(KEY) != VERSION:
                raise ValueError(f"its version is not {VERSION}, which this dlrun reads")
            for key, kind in (("config", dict), ("run", dict), ("outputs", list), ("epoch", int)):
                if not isinstance(content.get(key), kind):
                    raise ValueError(f"{key} is {content.get(key)!a:.80}")
            if not all(map(_is_output, content["outputs"])):
                raise ValueError("an output has no name, or no shape")
            below = content.get("below", {})
            if not isinstance(below, dict) or not all(type(n) is int for n in below.values()):
                raise ValueError(f"below is {below!a:.80}")
            integers, form = content.get("integers"), content.get("format")
            if not isinstance(integers, list) or not isinstance(form, str):
                raise ValueError("it names no format, or no integers")
            spec = spec_from_json(json.dumps(content.get("spec")), source=source)
            names = {name if isinstance(name, str) else None for name in integers}
            return cls(
                form,
                replace(spec, integers=frozenset(names)),
                content["epoch"],
                content["config"],
                content["run"],
                tuple(content["outputs"]),
                content.get("quantize"),
                content.get("license"),
                below,
            )
        except RecursionError:
            problem = "it is nested too deeply"
        except ValueError as error:
            problem = str(error)
        raise DlrunError(
            f"{source} can't be read as an export of dlrun: {problem}", hint="export the run again"
        )


def _statistics_of(spec: InputSpec, name: str | None) -> Statistics | None:
    """The statistics of an input that the file standardizes itself."""
    last = spec.preprocessing[-1] if spec.preprocessing else None
    if not isinstance(last, Standardize):
        return None
    everything = leaves(last.statistics)
    if min(min(of.deviation) for of in everything) < LEAST_DEVIATION:
        return None
    if not isinstance(last.statistics, Mapping):
        return last.statistics
    return None if name is None else last.statistics.get(name)


def _is_output(output: Any) -> bool:
    shape = output.get("shape") if isinstance(output, dict) else None
    return (
        isinstance(shape, list)
        and all(size is None or type(size) is int for size in shape)
        and isinstance(output.get("name"), str)
    )


def _in_order(spec: InputSpec, samples: Arrays) -> list[np.ndarray]:
    if not isinstance(samples, Mapping):
        return [samples]
    return [samples[name] for name in spec.inputs] if isinstance(spec.inputs, Mapping) else []


def _describe(one: FileInput) -> dict[str, Any]:
    described: dict[str, Any] = {"name": one.name, "shape": [None, *one.shape], "dtype": one.dtype}
    if one.scale is not None:
        described["divided_by"] = one.scale
    if one.below is not None:
        described["below"] = one.below
    if one.statistics is not None:
        described["standardized"] = True
    return described
