"""A new project trains, is swept and passes its own tests as it is."""

import subprocess
import sys

import pytest
import yaml

from conftest import Dlrun


@pytest.mark.slow
@pytest.mark.trains
def test_a_new_project_trains_is_swept_and_passes_its_tests(dlrun):
    made = dlrun.json("new", "My first-project")
    project = dlrun.cwd / "My first-project"
    assert (made["package"], made["train"]) == ("my_first_project", "experiment=rings")
    assert {project / name for name in made["files"]} == {
        path for path in project.rglob("*") if path.is_file()
    }
    assert dlrun("sweep", "model=mlp", "model.units=4,8", "epochs=1", cwd=project).returncode == 0
    steps = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())["jobs"]["test"]
    commands = [step["run"] for step in steps["steps"] if "run" in step]
    assert commands[0] == "pip install -r requirements.txt"
    for command in commands[1:]:
        words = command.split(" > ")[0].split()
        program = [sys.executable, "-m", "pytest", "-q"] if words == ["pytest"] else None
        done = dlrun(*words[1:], cwd=project, **({"command": program} if program else {}))
        assert done.returncode == 0, done.stdout + done.stderr
    style = [sys.executable, "-m", "ruff", "check", "--isolated", "."]
    checked = subprocess.run(style, cwd=project, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.trains
def test_a_table_becomes_the_projects_data_set(dlrun):
    rows = [f"{n},{n % 7},{'yes' if n % 7 > 3 else 'no'}" for n in range(200)]
    (dlrun.cwd / "rows.csv").write_text("\n".join(["id,size,big", *rows]))
    made = dlrun.json("new", "big", "--from", "csv=rows.csv")
    assert (made["train"], made["target"]) == ("data=rows", "big")
    (dlrun.cwd / "rows.csv").unlink()  # the project has its own
    option = yaml.safe_load((dlrun.cwd / "big/configs/data/rows.yaml").read_text())
    assert (option["path"], option["target"]) == ("data/rows.csv", "big")
    done = Dlrun(dlrun.cwd / "big").within("jax", "train", "data=rows", "epochs=1")
    assert done.returncode == 0, done.stderr


def test_what_can_not_be_a_project_leaves_nothing(dlrun):
    (dlrun.cwd / "full").mkdir()
    (dlrun.cwd / "full/file").touch()
    (dlrun.cwd / "rows.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    for words, reason in (
        (["full"], "error: full is not empty"),
        (["new", "--from", "rows.csv"], "expected FORMAT=PATH"),
        (["new", "--from", "csv=none.csv"], "there is no none.csv"),
        (["new", "--from", "csv=rows.csv", "--target", "c"], "no such column; it has a, b"),
    ):
        done = dlrun.here("new", *words)
        assert done.returncode == 2
        assert reason in done.stderr
    assert {path.name for path in dlrun.cwd.iterdir()} == {"full", "rows.csv"}


def test_a_projects_package_shadows_no_other(dlrun):
    assert dlrun.json("new", "json")["package"] == "json_project"
    assert dlrun.json("new", "2-classes")["package"] == "_2_classes"
