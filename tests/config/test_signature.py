"""A component's arguments, checked before anything is imported."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlrun.config.schema import Config
from dlrun.config.signature import wrong_arguments

Wrong = list[tuple[str, str, tuple[str, ...]]]


@pytest.fixture
def wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., Wrong]:
    """The mistakes of a model whose module, never to be imported, has this source."""
    monkeypatch.chdir(tmp_path)
    # Of its own for each test: what a module takes is read once per process.
    module = f"own_{request.node.name.partition('[')[0]}"

    def check(source: str, name: str, **arguments: object) -> Wrong:
        path = tmp_path / f"{module}.py"
        path.write_text(f"{source}\nraise SystemExit('imported')\n", encoding="utf-8")
        part = {"_target_": f"{module}.{name}", **arguments}
        found = [w for w in wrong_arguments(Config(model=part)) if w[0].startswith("model")]
        assert module not in sys.modules
        return found

    return check


def test_an_unknown_argument_of_a_function_is_told_with_those_it_takes(wrong: Callable) -> None:
    source = "def net(input_shape, num_classes, *, units=3): ..."
    [(key, problem, names)] = wrong(source, "net", unit=3)
    assert key == "model.unit"
    assert "takes no 'unit'" in problem
    assert names == ("units",)


def test_an_unknown_argument_of_a_class_is_told(wrong: Callable) -> None:
    source = "class Net:\n    def __init__(self, input_shape, num_classes, units=3): ..."
    assert wrong(source, "Net", units=3) == []
    [(key, _, names)] = wrong(source, "Net", self=3)
    assert (key, names) == ("model.self", ("units",))


def test_what_the_runner_gives_is_not_the_users_to_give(wrong: Callable) -> None:
    source = "def net(input_shape, num_classes): ..."
    [(key, problem, _)] = wrong(source, "net", num_classes=3)
    assert key == "model.num_classes"
    assert "it takes nothing" in problem


@pytest.mark.parametrize(
    "source",
    [
        "def net(**options): ...",
        "class net(dict): ...",
        "from json import loads as net",
        "net = print",
    ],
)
def test_what_the_source_does_not_tell_is_left_to_the_call(wrong: Callable, source: str) -> None:
    assert wrong(source, "net", anything=3) == []


def test_hydras_own_keys_are_no_arguments(wrong: Callable) -> None:
    assert wrong("def net(input_shape, num_classes): ...", "net", _convert_="all") == []


def test_a_name_that_the_module_lacks_is_told(wrong: Callable) -> None:
    [(key, problem, _)] = wrong("def net(): ...", "nett")
    assert key == "model._target_"
    assert "nett" in problem


def test_a_module_that_is_no_python_is_told(wrong: Callable) -> None:
    [(key, problem, _)] = wrong("def net(:", "net")
    assert key == "model._target_"
    assert "own_test_a_module_that_is_no_python_is_told" in problem


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nosuch.thing", "no module named 'nosuch'"),
        ("dlrun.models.nosuch.net", "no module named 'dlrun.models.nosuch'"),
        ("dlrun.nosuch.deep.net", "no module named 'dlrun.nosuch.deep'"),
        ("plain", "expected module.name, got 'plain'"),
        ("dlrun..net", "no module named 'dlrun.'"),
    ],
)
def test_a_target_that_is_not_there_is_told(target: str, problem: str) -> None:
    found = {key: told for key, told, _ in wrong_arguments(Config(model={"_target_": target}))}
    assert found["model._target_"] == problem


@pytest.mark.parametrize("part", [{}, {"_target_": None}, {"units": 3}])
def test_a_part_without_a_target_is_told(part: dict[str, object]) -> None:
    found = {key: told for key, told, _ in wrong_arguments(Config(model=part))}
    assert "has no _target_" in found["model"]


def test_a_framework_is_found_without_being_imported() -> None:
    before = set(sys.modules)
    config = Config(optimizer={"_target_": "keras.optimizers.Adam", "anything": 3})
    found = [key for key, *_ in wrong_arguments(config) if key.startswith("optimizer")]
    assert found == []
    assert "keras" not in set(sys.modules) - before
