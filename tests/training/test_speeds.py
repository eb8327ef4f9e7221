"""What dlrun bench has measured is used where it holds."""

import json

import pytest

from dlrun.config.compose import compose
from dlrun.system import process
from dlrun.training.speeds import fastest_elsewhere, keep_speeds

TYPED = ("model=mnist_mlp", "batch_size=64")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file of the speeds on jax."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    row = {"backend": "jax", "loop": "raw", "step_seconds": 0.002}
    return keep_speeds(compose([*TYPED, "backend=jax"]), [row])


def on_torch(*words):
    return fastest_elsewhere(compose([*TYPED, "backend=torch", *words]))


def test_speeds_hold_for_the_same_steps(kept):
    assert on_torch("seed=3", "data.limit=100", "loop=raw") == ("jax", "raw", 0.002)
    for other in ("batch_size=32", "precision=mixed_bfloat16", "model.units=64"):
        assert on_torch(other) is None, other
    assert fastest_elsewhere(compose([*TYPED, "backend=jax"])) is None


def test_those_of_a_machine_with_other_gpus_or_cores_are_not_used(kept, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4,5")
    assert on_torch() is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if process.cores() > 1:
        monkeypatch.setenv(process.CORES, "1")
        assert on_torch() is None


def test_those_of_another_version_are_not_used(kept):
    speeds = json.loads(kept.read_text())
    framework, keras = speeds["jax"]["versions"]
    assert framework and keras
    speeds["jax"]["versions"] = ["0.1.0", keras]
    kept.write_text(json.dumps(speeds))
    assert on_torch() is None
    row = {"backend": "tensorflow", "loop": "fit", "step_seconds": 0.003}
    keep_speeds(compose([*TYPED, "backend=jax"]), [row])
    assert on_torch() == ("tensorflow", "fit", 0.003)
    assert "jax" not in json.loads(kept.read_text())


def test_a_file_that_is_none_of_them_is_not_used(kept):
    for text in ("", "[1]", '{"jax": {"raw": 0.002}}', '{"jax": {"versions": 1, "loops": 2}}'):
        kept.write_text(text)
        assert on_torch() is None, text
