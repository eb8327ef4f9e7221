"""The JSON schema of a config, by an independent validator, against composed and wrong configs."""

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dlrun.cli import app
from dlrun.config.compose import compose
from dlrun.config.groups import GROUPS
from dlrun.config.json_schema import json_schema
from dlrun.config.options import shipped_configs

jsonschema = pytest.importorskip("jsonschema")
EXPERIMENTS = sorted(path.stem for path in (shipped_configs() / "experiment").glob("*.yaml"))


def problems(schema: dict[str, Any], config: Any) -> list[str]:
    jsonschema.Draft7Validator.check_schema(schema)
    found = jsonschema.Draft7Validator(schema).iter_errors(config)
    return sorted(".".join(map(str, error.absolute_path)) or error.message for error in found)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


@pytest.mark.parametrize(
    "overrides",
    [[], *([f"experiment={name}"] for name in EXPERIMENTS), ["+metrics=auc", "+augmentation=flip"]],
    ids=" ".join,
)
def test_composed_configs_are_valid(schema: dict[str, Any], overrides: list[str]) -> None:
    assert problems(schema, asdict(compose(overrides, find=False))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", "ten"),
        ("precision", "float31"),
        ("device.kind", "gpuu"),
        ("task.monitor", 3),
        ("model.units", "many"),
        ("optimizer.learning_rate", True),
        ("callbacks.early_stopping.patience", "long"),
    ],
)
def test_wrong_value_is_found_at_its_key(schema: dict[str, Any], key: str, value: Any) -> None:
    config = asdict(compose([]))
    part: Any = config
    *parents, last = key.split(".")
    for name in parents:
        part = part[name]
    part[last] = value
    assert problems(schema, config) == [key]
    part[last] = "${epochs}"  # resolved later
    assert problems(schema, config) == []


def test_unknown_key_is_found_and_keys_have_meanings(schema: dict[str, Any]) -> None:
    config = copy.deepcopy(asdict(compose([]))) | {"epoch": 3}
    [problem] = problems(schema, config)
    assert "'epoch' was unexpected" in problem
    assert "maximum number of epochs" in schema["properties"]["epochs"]["description"]
    assert "best epoch" in schema["properties"]["task"]["properties"]["monitor"]["description"]


@pytest.mark.parametrize("group", list(GROUPS))
def test_every_shipped_option_is_valid_as_a_file_of_its_group(group: str) -> None:
    schema = json_schema(group)
    for path in (shipped_configs() / group).glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        assert (path.name, problems(schema, content)) == (path.name, [])


def test_command_writes_the_schema_and_knows_own_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs/model").mkdir(parents=True)
    (tmp_path / "configs/model/mine.yaml").write_text("_target_: my.net\nwidth: 3  # of it\n")
    done = CliRunner().invoke(app, ["schema", "model", "--output", "model.json"])
    assert (done.exit_code, done.stdout) == (0, "")
    schema = json.loads((tmp_path / "model.json").read_text())
    assert problems(schema, {"_target_": "my.net", "width": "wide"}) == ["width"]
    printed = CliRunner().invoke(app, ["schema"])
    assert json.loads(printed.stdout) == json_schema()
    wrong = CliRunner().invoke(app, ["schema", "modl"])
    assert (wrong.exit_code, "did you mean model?" in wrong.stderr) == (2, True)
