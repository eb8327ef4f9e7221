"""Reads, or downloads, a data set of TensorFlow Datasets, in a process of its own.

``python -m dlrun.data.tfds_folders.reader JOB``; see :mod:`dlrun.data.tfds_folders.process`.
tensorflow_datasets imports TensorFlow for much of what it does, so it is not let into a run.
Reading works without TensorFlow: tfds reads the records of ``array_record``, this module those
of ``tfrecord``, and tfds decodes both with NumPy.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrun.data.images.decode import BrokenImageError, decode
from dlrun.data.preprocessing.images import Images
from dlrun.data.tfds_folders.folder import IMAGE, INTEGER, LABEL, NUMBER, TEXT, TRUTH, Feature
from dlrun.errors import DlrunError
from dlrun.system.child_job import answer_job

ROWS, IMAGES = "rows.arrow", "images.npy"
BATCH = 1024


def _do(job: Mapping[str, Any]) -> dict[str, Any]:
    try:
        _read_or_download(job)
    except BrokenImageError as error:
        raise DlrunError(f"data: {error}") from error
    return {}


def _read_or_download(job: Mapping[str, Any]) -> None:
    import tensorflow_datasets as tfds

    if "download" in job:
        _download(**job["download"])
        return
    builder = tfds.builder_from_directory(job["folder"])
    features = [Feature(**{**found, "shape": tuple(found["shape"])}) for found in job["features"]]
    pixels = None
    if job["image"] is not None:
        samples = sum(job["splits"].values())
        pixels = np.lib.format.open_memmap(
            Path(job["out"]) / IMAGES,
            "w+",
            np.dtype(job["image"]["dtype"]),
            (samples, *job["image"]["shape"]),
        )
    _write(builder, features, job["splits"], Path(job["out"]) / ROWS, pixels)


def _download(name: str, config: str | None, version: str | None, data_dir: str) -> None:
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    chosen = {"config": config, "version": version}
    options = {key: value for key, value in chosen.items() if value is not None}
    if importlib.util.find_spec("tensorflow") is None:  # which writes the usual format, tfrecord
        options["file_format"] = "array_record"
    tfds.builder(name, data_dir=data_dir, **options).download_and_prepare()


def _write(
    builder: Any,
    features: Sequence[Feature],
    splits: Mapping[str, int],
    target: Path,
    pixels: np.ndarray | None,
) -> None:
    """Write the samples of the splits, one after another: columns as Arrow, images as an array."""
    import pyarrow as pa
    import tensorflow_datasets as tfds

    tops = {feature.name.partition("/")[0] for feature in features}
    decoder = tfds.features.FeaturesDict({name: builder.info.features[name] for name in tops})
    image = next((feature for feature in features if feature.kind == IMAGE), None)
    # Pillow brings to one form what a data set of JPEGs has in several.
    own = image is not None and pixels is not None and _is_pillows(pixels)
    decoders = {image.name: tfds.decode.SkipDecoding()} if own and image else None
    columns = [_Column(feature, builder) for feature in features if feature.kind != IMAGE]
    schema = pa.schema([field for column in columns for field in column.fields])
    place = 0
    with pa.ipc.new_file(str(target), schema) as file:
        for split, expected in splits.items():
            count = 0
            for records in _batches(_records(builder, split)):
                samples = [decoder.deserialize_example_np(r, decoders=decoders) for r in records]
                count += len(samples)
                if count > expected:
                    break
                arrays = [array for column in columns for array in column.arrays(samples)]
                file.write_batch(pa.record_batch(arrays, schema=schema))
                if image is not None and pixels is not None:
                    for row, sample in enumerate(samples, start=count - len(samples)):
                        where = f"sample {row + 1:,} of {split}"
                        pixels[place + row] = _pixels(sample[image.name], pixels, where)
            if count != expected:
                raise DlrunError(
                    f"data: {builder.info.name}: split {split} has not {expected:,} samples, as"
                    " its dataset_info.json says",
                    hint="prepare the data set anew",
                )
            place += count


class _Column:
    """The columns that a feature becomes."""

    def __init__(self, feature: Feature, builder: Any) -> None:
        import pyarrow as pa

        self.feature = feature
        self.names: list[str] | None = None
        kind = feature.kind
        if kind == LABEL:
            self.names = _at(builder.info.features, feature.name).names
            kind = TEXT if self.names else INTEGER
        types = {TEXT: pa.string(), TRUTH: pa.bool_(), INTEGER: pa.int64()}
        types[NUMBER] = pa.float64() if feature.dtype == "float64" else pa.float32()
        if feature.dtype == "uint64":
            types[INTEGER] = pa.uint64()
        self.fields = [pa.field(name, types[kind]) for name in feature.columns]

    def arrays(self, samples: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The feature of some samples, as Arrow has it."""
        import pyarrow as pa

        values = [_at(sample, self.feature.name) for sample in samples]
        if self.feature.shape:
            table = np.asarray(values)
            return [
                pa.array(table[:, place].tolist(), field.type)
                for place, field in enumerate(self.fields)
            ]
        return [pa.array([self._plain(value) for value in values], self.fields[0].type)]

    def _plain(self, value: Any) -> Any:
        if value is None:
            return None
        if self.feature.kind == LABEL:
            if value < 0:  # stands for no label
                return None
            return self.names[value] if self.names else value
        if isinstance(value, bytes):  # some data sets have texts that are not UTF-8
            return value.decode("utf-8", errors="replace")
        return value


def _at(tree: Any, name: str) -> Any:
    for key in name.split("/"):
        tree = tree[key]
    return tree


def _is_pillows(pixels: np.ndarray) -> bool:
    return pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.shape[-1] in (1, 3)


def _pixels(image: Any, pixels: np.ndarray, where: str) -> np.ndarray:
    if isinstance(image, bytes):
        return decode(Path(where), Images(*pixels.shape[1:]), image)
    if image.shape != pixels.shape[1:]:
        raise DlrunError(
            f"data: the image of {where} has the shape {image.shape}, expected {pixels.shape[1:]}"
        )
    return image  # type: ignore[no-any-return]


def _records(builder: Any, split: str) -> Iterator[bytes]:
    form = builder.info.file_format.value
    if form == "tfrecord":
        for path in builder.info.splits[split].filepaths:
            yield from _tfrecords(Path(path))
    elif form == "array_record":
        source = builder.as_data_source(split).data_source
        for start in range(0, len(source), BATCH):
            yield from source.__getitems__([*range(start, min(start + BATCH, len(source)))])
    else:
        raise DlrunError(
            f"data: {builder.info.name} is written as {form}, which is not read",
            hint="prepare it as array_record or tfrecord: file_format of tfds.builder",
        )


def _tfrecords(path: Path) -> Iterator[bytes]:
    """The records of a file: a length in 8 bytes, its checksum in 4, the record, its checksum.

    https://www.tensorflow.org/tutorials/load_data/tfrecord
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(12):
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            if file.tell() + length + 4 > size:
                raise DlrunError(
                    f"data: {path} is damaged: a record is cut off", hint="prepare it anew"
                )
            yield file.read(length)
            file.read(4)


def _batches(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


if __name__ == "__main__":
    answer_job(_do)
