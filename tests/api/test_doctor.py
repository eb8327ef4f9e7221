"""The report on what is installed, with working, broken and missing backends."""

import pytest

# Hides jax from an interpreter and from every process that it starts.
WITHOUT_JAX = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name in ("jax", "jaxlib") else find(name, path, target)

PathFinder.find_spec = find_spec
"""


@pytest.fixture
def without_jax(dlrun):
    """The environment of an interpreter without jax."""
    (dlrun.cwd / "sitecustomize.py").write_text(WITHOUT_JAX)
    return {"PYTHONPATH": str(dlrun.cwd)}


def test_every_backend_works(dlrun):
    result = dlrun.json("doctor")
    assert list(result) == ["dlrun", "python", "platform", "cores", "backends"]
    backends = result["backends"]
    assert set(backends) == {"jax", "numpy", "tensorflow", "torch"}
    for name, report in backends.items():
        assert report["status"] == "ok", (name, report)
        assert report["devices"] == ["cpu:0"]
        assert report["default_device"] == "cpu:0"
        assert report["version"][0].isdigit()
        assert report["trains"] is (name != "numpy")


def test_broken_and_missing_backends_are_reported_and_do_not_affect_the_others(dlrun, without_jax):
    (dlrun.cwd / "torch").mkdir()
    (dlrun.cwd / "torch" / "__init__.py").write_text("raise ImportError('no libcudart.so.12')\n")
    done = dlrun("doctor", "--json", env=without_jax)
    assert done.returncode == 0
    backends = dlrun.parse(done.stdout)["backends"]
    assert backends["torch"]["status"] == "broken"
    assert "no libcudart.so.12" in backends["torch"]["error"]
    assert "pip install" in backends["torch"]["install"]
    assert backends["jax"]["status"] == "missing"
    assert backends["jax"]["install"] == "pip install 'dlrun[jax]'"
    assert backends["numpy"]["status"] == "missing"  # Keras' numpy backend needs jax
    assert backends["tensorflow"]["status"] == "ok"


@pytest.mark.slow
def test_backend_that_kills_its_process_is_reported(dlrun):
    (dlrun.cwd / "torch").mkdir()
    (dlrun.cwd / "torch" / "__init__.py").write_text("import os\nos.abort()\n")
    report = dlrun.json("doctor", env={"PYTHONPATH": str(dlrun.cwd)})
    assert report["backends"]["torch"]["status"] == "broken"
    assert report["backends"]["torch"]["error"]
    assert report["backends"]["jax"]["status"] == "ok"


def test_training_on_a_missing_backend_says_what_to_do(dlrun, without_jax):
    done = dlrun("train", "backend=jax", "smoke=true", env=without_jax)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: backend 'jax' is not installed",
        "",
        "hint: pip install 'dlrun[jax]', or choose backend=tensorflow",
    ]
    assert not (dlrun.cwd / "runs").exists()


def test_training_on_a_broken_backend_points_to_the_doctor(dlrun):
    (dlrun.cwd / "jax").mkdir()
    (dlrun.cwd / "jax" / "__init__.py").write_text("raise ImportError('no libcudart.so.12')\n")
    done = dlrun("train", "backend=jax", "smoke=true", env={"PYTHONPATH": str(dlrun.cwd)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: backend 'jax' can't be imported: no libcudart.so.12",
        "",
        "hint: see 'dlrun doctor'",
    ]
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.parametrize(("python", "has_build"), [((3, 13), True), ((3, 14), False)])
def test_tensorflow_has_no_build_for_a_newer_python_and_the_others_have(python, has_build):
    from dlrun.api.doctor import missing

    report = missing("tensorflow", python)
    assert ("install" in report) is has_build
    if not has_build:
        assert report["error"].startswith("tensorflow has no build for Python 3.14: use jax or")
    for name in ("jax", "torch", "numpy"):
        assert missing(name, python)["install"].startswith("pip install")
