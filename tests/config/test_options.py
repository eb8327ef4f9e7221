"""The options of each group, and the directories they are found in."""

from pathlib import Path

import pytest

from dlrun.config.groups import GROUPS
from dlrun.config.options import config_dirs, list_options, shipped_configs
from dlrun.errors import DlrunError

pytestmark = pytest.mark.usefixtures("cwd")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_every_group_has_options_with_descriptions() -> None:
    options = list_options()
    assert tuple(options) == tuple(GROUPS)
    for descriptions in options.values():
        assert descriptions
        assert all(descriptions.values())


def test_every_yaml_is_listed() -> None:
    options = list_options()
    files = {path.relative_to(shipped_configs()) for path in shipped_configs().glob("*/*.yaml")}
    assert files == {Path(group) / f"{name}.yaml" for group in options for name in options[group]}


def test_the_package_directive_is_not_a_description() -> None:
    assert list_options()["experiment"]["first_network"].startswith("The books' first network")


def test_a_line_for_an_editor_is_not_a_description(cwd: Path) -> None:
    schema = "# yaml-language-server: $schema=../../model.schema.json"
    write(cwd / "configs/model/mine.yaml", f"{schema}\n# My model.\n_target_: x.y\n")
    write(cwd / "configs/model/bare.yaml", f"{schema}\n_target_: x.y\n")
    models = list_options()["model"]
    assert (models["mine"], models["bare"]) == ("My model.", "")


def test_a_line_that_names_the_file_is_not_a_description(cwd: Path) -> None:
    write(
        cwd / "configs/model/mine.yaml", "# configs/model/mine.yaml\n# My model.\n_target_: x.y\n"
    )
    write(cwd / "configs/loss/mine.yaml", "# loss/mine.yaml\n# @package task.loss\n# My loss.\n")
    write(cwd / "configs/data/mine.yaml", "# Like configs/data/mine.yaml\n")
    options = list_options()
    assert [options[group]["mine"] for group in ("model", "loss", "data")] == [
        "My model.",
        "My loss.",
        "Like configs/data/mine.yaml",
    ]


def test_the_users_options_are_listed_with_the_shipped_ones(cwd: Path) -> None:
    write(cwd / "configs/model/mine.yaml", "# My model.\n_target_: x.y\n")
    write(cwd / "configs/model/bare.yaml", "_target_: x.y\n")
    models = list_options()["model"]
    assert models["mine"] == "My model."
    assert models["bare"] == ""
    assert "mnist_mlp" in models


def test_a_users_option_replaces_a_shipped_one_of_the_same_name(cwd: Path) -> None:
    write(cwd / "configs/optimizer/adam.yaml", "# My Adam.\n_target_: x.y\n")
    assert list_options()["optimizer"]["adam"] == "My Adam."


def test_config_dir_replaces_the_directory_in_the_working_directory(cwd: Path) -> None:
    write(cwd / "configs/model/here.yaml", "# Here.\n")
    write(cwd / "mine/model/there.yaml", "# There.\n")
    models = list_options(Path("mine"))["model"]
    assert "there" in models
    assert "here" not in models


def test_the_users_options_are_searched_first(cwd: Path) -> None:
    (cwd / "configs").mkdir()
    assert config_dirs() == [cwd / "configs", shipped_configs().resolve()]


def test_in_a_checkout_the_shipped_options_are_searched_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shipped_configs().parent)
    assert config_dirs() == [shipped_configs().resolve()]


@pytest.mark.parametrize("name", ["nosuch", "file"])
def test_config_dir_must_exist(cwd: Path, name: str) -> None:
    write(cwd / "file", "")
    with pytest.raises(DlrunError, match=f"--config-dir {name}: no such directory") as caught:
        config_dirs(Path(name))
    assert caught.value.exit_code == 2


def test_a_file_called_configs_is_ignored(cwd: Path) -> None:
    write(cwd / "configs", "")
    assert config_dirs() == [shipped_configs().resolve()]
