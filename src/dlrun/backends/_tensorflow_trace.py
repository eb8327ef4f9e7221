"""Traces by TensorFlow's profiler."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tensorflow as tf


class TensorFlowTracer:
    """See :class:`dlrun.backends.Tracer`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def start(self) -> None:
        """See :class:`dlrun.backends.Tracer`."""
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2)
        tf.profiler.experimental.start(str(self._directory), options=options)

    def step(self, number: int) -> AbstractContextManager[Any]:
        """See :class:`dlrun.backends.Tracer`."""
        traced: AbstractContextManager[Any] = tf.profiler.experimental.Trace(
            "train", step_num=number, _r=1
        )
        return traced

    def stop(self, file: Path) -> None:
        """See :class:`dlrun.backends.Tracer`."""
        tf.profiler.experimental.stop()
        written = self._directory.glob("plugins/profile/*/*.xplane.pb")
        newest = max(written, key=lambda path: path.stat().st_mtime)
        with gzip.open(file, "wt", encoding="utf-8") as target:
            json.dump({"displayTimeUnit": "ns", "traceEvents": list(_events(newest))}, target)


def _events(file: Path) -> Iterator[dict[str, Any]]:
    """The events of TensorFlow's own format in Chrome's; times in microseconds."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(file.read_bytes())
    lines = [line for plane in space.planes for line in plane.lines if line.events]
    began = min((line.timestamp_ns for line in lines), default=0)
    for pid, plane in enumerate(space.planes):
        names = {key: value.name for key, value in plane.stat_metadata.items()}
        yield _name("process_name", plane.name, pid=pid)
        for tid, line in enumerate(plane.lines):
            yield _name("thread_name", line.display_name or line.name, pid=pid, tid=tid)
            for event in line.events:
                metadata = plane.event_metadata[event.metadata_id]
                yield {
                    "ph": "X",
                    "pid": pid,
                    "tid": tid,
                    "ts": (line.timestamp_ns - began) / 1e3 + event.offset_ps / 1e6,
                    "dur": event.duration_ps / 1e6,
                    "name": metadata.display_name or metadata.name,
                    "args": {names[stat.metadata_id]: _value(stat, names) for stat in event.stats},
                }


def _name(kind: str, name: str, **of: int) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "args": {"name": name}, **of}


def _value(stat: Any, names: dict[int, str]) -> Any:
    kind = stat.WhichOneof("value")
    if kind == "ref_value":
        return names.get(stat.ref_value, "")
    value = getattr(stat, kind) if kind else None
    return len(value) if isinstance(value, bytes) else value
