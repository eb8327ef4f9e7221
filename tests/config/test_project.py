"""A run of a project is evaluated from anywhere, and only from a project that the user names."""

import json
import shutil
from pathlib import Path

import pytest

from trainings import Refused, worker

pytestmark = pytest.mark.trains

NET = """
import keras
from my_width import WIDTH

def net(input_shape, num_classes):
    layers = [keras.layers.Flatten(), keras.layers.Dense(WIDTH), keras.layers.Dense(num_classes)]
    return keras.Sequential([keras.Input(input_shape), *layers])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an option and two modules."""
    project = tmp_path / "a project"
    (project / "configs/model").mkdir(parents=True)
    (project / "configs/model/mine.yaml").write_text("_target_: my_project_net.net\n")
    (project / "my_project_net.py").write_text(NET)
    (project / "my_width.py").write_text("WIDTH = 7\n")
    return project


def test_a_run_is_evaluated_from_any_directory_if_its_project_is_named(tmp_path, project):
    jax = worker("jax")
    result = jax.train(project, "model=mine", "data.limit=200", "epochs=1")
    run, elsewhere = result["path"], tmp_path / "elsewhere"
    record = json.loads((run / "run.json").read_text())
    assert record["project"] == str(project)
    elsewhere.mkdir()

    # Named by nobody, the project that the record names is not searched, but hinted at.
    with pytest.raises(Refused, match="which is not trusted") as caught:
        jax.evaluate(elsewhere, run)
    hint = f"it was trained in another project: --config-dir '{project}'"
    assert caught.value.hint.endswith(hint)
    with pytest.raises(Refused, match="no module named 'my_project_net'") as caught:
        jax.evaluate(elsewhere, run, trusted=["my_project_net"])
    assert caught.value.hint == hint

    # A copied run that brings code, and names itself as its project.
    copied = Path(shutil.copytree(run, tmp_path / "copied"))
    (copied / "my_project_net.py").write_text("open('canary', 'w')\n")
    (copied / "run.json").write_text(json.dumps(record | {"project": str(copied)}))
    with pytest.raises(Refused, match="no module named 'my_project_net'"):
        jax.evaluate(elsewhere, copied, trusted=["my_project_net"])
    for name in ("\x1b]0;title\x07", "relative", str(tmp_path / "missing"), 3, None):
        (copied / "run.json").write_text(json.dumps(record | {"project": name}))
        with pytest.raises(Refused) as caught:
            jax.evaluate(elsewhere, copied)
        assert caught.value.hint == "if you know the code, add --trust my_project_net"

    expected = pytest.approx(result["test"], abs=1e-6)
    script = """
from pathlib import Path
from dlrun.api.evaluate import evaluate
from dlrun.config.project import Project
project = Project(Path({named!r}))
found["metrics"] = evaluate({run!r}, ["backend=jax"], project=project)[0]["metrics"]
"""
    for named in (project, project / "configs"):
        found = jax.run(elsewhere, script.format(run=str(run), named=str(named)))
        assert found["metrics"] == expected
    assert not list(tmp_path.rglob("canary"))


def test_the_installed_command_takes_a_project_of_modules_alone(dlrun, project):
    shutil.rmtree(project / "configs")
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    typed = ("model={_target_: my_project_net.net}", "~model.units", "data.limit=200")
    where = ("--config-dir", "../a project")
    result = dlrun.json("train", *typed, "epochs=1", *where, cwd=elsewhere)
    again = dlrun.json("evaluate", "latest", "--trust", "my_project_net", *where, cwd=elsewhere)
    assert again["metrics"] == pytest.approx(result["test"], abs=1e-6)
    assert dlrun.record(elsewhere / result["run_dir"])["project"] == str(project)
