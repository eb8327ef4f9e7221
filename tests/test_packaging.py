"""The wheel that users install, built and run outside the checkout."""

import sys
import zipfile
from pathlib import Path

import pytest

from conftest import Dlrun

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT]
    done = Dlrun(place)(command=build)
    assert done.returncode == 0, done.stderr
    [wheel] = place.glob("*.whl")
    return wheel


@pytest.fixture
def installed(wheel, dlrun):
    """The wheel's own dlrun as a command, and in an empty directory."""
    # What pip does with a wheel of pure Python; check's environments have no pip.
    target = dlrun.cwd / "target"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    (dlrun.cwd / "empty").mkdir()

    def run(*arguments):
        return dlrun(
            *arguments,
            command=[sys.executable, "-m", "dlrun"],
            cwd=dlrun.cwd / "empty",
            env={"PYTHONPATH": str(target)},
        )

    where = dlrun(
        "-c",
        "import dlrun; print(dlrun.__file__, *dlrun.__path__)",
        command=[sys.executable],
        cwd=dlrun.cwd / "empty",
        env={"PYTHONPATH": str(target)},
    )
    # Its configs too are its own, and not this checkout's.
    assert where.stdout.split() == [str(target / "dlrun" / "__init__.py"), str(target / "dlrun")]
    return run


def test_wheel_holds_data_licence_configs_and_command_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [entry_points] = [name for name in names if name.endswith("entry_points.txt")]
        assert "dlrun = dlrun.__main__:main" in archive.read(entry_points).decode()
    assert {"dlrun/data/mnist.npz", "dlrun/data/MNIST-LICENSE.md", "dlrun/py.typed"} <= names
    assert "dlrun/api/project_files/.github/workflows/ci.yml.in" in names
    assert {f"dlrun/report/page/page.{kind}" for kind in ("css", "js")} <= names
    configs = {f"dlrun/{p.relative_to(ROOT)}" for p in (ROOT / "configs").rglob("*.yaml")}
    assert configs <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dlrun"}
    ours = [name for name in names if "/project_files/" not in name]
    assert not [name for name in ours if "__pycache__" in name or "/test" in name]


def test_wheel_lists_composes_and_trains(installed):
    listed = installed("list", "model")
    assert "mnist_mlp" in listed.stdout, listed.stderr
    composed = installed("config", "model.units=7")
    assert "units: 7" in composed.stdout, composed.stderr
    trained = installed("train", "smoke=true", "backend=jax", "--json")
    assert trained.returncode == 0, trained.stderr
    assert '"status": "completed"' in trained.stdout
