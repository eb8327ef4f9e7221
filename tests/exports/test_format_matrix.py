"""Five kinds of models in every format: each works, and agrees with its run."""

import json

import numpy as np
import pytest

from dlrun.exports import formats
from houses import ROWS, SPLIT, columns, without, write_csv
from trainings import worker

KINDS = {
    "mlp": ("model=mnist_mlp", "model.units=16", "data.limit=400"),
    "normalized convnet": (
        *("model=small_convnet", "data=mnist", "data.limit=300"),
        *("model.normalization=batch", "model.blocks=2", "model.filters=4"),
    ),
    "lstm with a mask": ("model=text_lstm", "model.units=4", "data.limit=200"),
    "several inputs and outputs": ("model=ticket_classifier", "model.units=4", "data.limit=200"),
    "table": ("data=csv", "data.path=homes.csv", "data.target=[price,kind]", "batch_size=32"),
    "standardized": (
        *("data=npz", "data.path=mine.npz", "data.num_classes=3", "data.standardize=true"),
        *("data.validation_samples=40", "model=mnist_mlp", "model.units=8"),
    ),
}
# A run of each backend, so that each format is written from others.
BACKENDS = ("jax", "tensorflow", "torch")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("kinds")
    write_csv(cwd / "homes.csv", {**without(columns(ROWS, 0), "big", "tags"), "split": SPLIT})
    draw, arrays = np.random.default_rng(0), {}
    for split, rows in {"train": 200, "test": 150}.items():
        arrays[f"y_{split}"] = draw.integers(0, 3, rows)
        center = 500 + arrays[f"y_{split}"][:, None]  # far from 0 and small in deviation
        arrays[f"x_{split}"] = draw.normal(center, [2, 1, 0.5, 3], (rows, 4))
    np.savez(cwd / "mine.npz", **arrays)
    found = {}
    for place, (kind, overrides) in enumerate(KINDS.items()):
        backend = BACKENDS[place % len(BACKENDS)]
        found[kind] = worker(backend).train(cwd, *overrides, "epochs=1", f"name=kind{place}")
    return cwd, found


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("form", formats.names())
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_is_written_in_every_format(runs, kind, form):
    cwd, found = runs
    writer = formats.module(form).BACKEND or found[kind]["backend"]
    worker(writer).run(cwd, "")
    words = ["export", str(found[kind]["path"]), "--format", form, "--json"]
    code, stdout, stderr = worker(writer).command(cwd, words)
    assert code == 0, stderr
    result = json.loads(stdout)
    assert [check["problem"] for check in result["checks"] if check["problem"]] == []
    exact = [check for check in result["checks"] if check["mode"] == "float32"]
    assert max(check["difference"] for check in exact) < 2e-5
    assert min(check["agreement"] or 1 for check in exact) > 0.96
    path = cwd / result["output"]
    if path.is_file():
        assert path.stat().st_mode == path.with_name(f"{path.name}.json").stat().st_mode
    if not formats.module(form).IS_RUN:
        return
    of_file, of_run = (
        json.loads(worker(on).command(cwd, ["evaluate", str(what), "--json"])[1])["metrics"]
        for on, what in (("numpy", path), (found[kind]["backend"], found[kind]["path"]))
    )
    assert of_file == pytest.approx(of_run, rel=2e-3)
