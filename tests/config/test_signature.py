"""A component's arguments are checked before anything is imported."""

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
    """Return the wrong arguments of a model with the given source, which is never imported."""
    monkeypatch.chdir(tmp_path)
    # Each test has its own module: a signature is cached for the process.
    module = f"own_{request.node.name.partition('[')[0]}"

    def check(source: str, name: str, **arguments: object) -> Wrong:
        path = tmp_path / f"{module}.py"
        path.write_text(f"{source}\nraise SystemExit('imported')\n", encoding="utf-8")
        model = {"_target_": f"{module}.{name}", **arguments}
        problems = [p for p in wrong_arguments(Config(model=model)) if p.key.startswith("model")]
        assert module not in sys.modules
        return problems

    return check


def test_an_unknown_argument_of_a_function_is_reported_with_the_valid_ones(wrong: Callable) -> None:
    source = "def net(input_shape, num_classes, *, units=3): ..."
    [(key, problem, names)] = wrong(source, "net", unit=3)
    assert key == "model.unit"
    assert "takes no 'unit'" in problem
    assert names == ("units",)


def test_an_unknown_argument_of_a_class_is_reported(wrong: Callable) -> None:
    source = "class Net:\n    def __init__(self, input_shape, num_classes, units=3): ..."
    assert wrong(source, "Net", units=3) == []
    [(key, _, names)] = wrong(source, "Net", self=3)
    assert (key, names) == ("model.self", ("units",))


def test_the_user_can_not_set_an_argument_of_the_runner(wrong: Callable) -> None:
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
def test_arguments_are_not_checked_if_the_source_does_not_determine_them(
    wrong: Callable, source: str
) -> None:
    assert wrong(source, "net", anything=3) == []


def test_hydras_own_keys_are_not_arguments(wrong: Callable) -> None:
    assert wrong("def net(input_shape, num_classes): ...", "net", _convert_="all") == []


def test_a_name_that_the_module_lacks_is_reported(wrong: Callable) -> None:
    [(key, problem, _)] = wrong("def net(): ...", "nett")
    assert key == "model._target_"
    assert "nett" in problem


def test_a_module_with_a_syntax_error_is_reported(wrong: Callable) -> None:
    [(key, problem, _)] = wrong("def net(:", "net")
    assert key == "model._target_"
    assert "own_test_a_module_with_a_syntax_error_is_reported" in problem


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
def test_a_missing_target_is_reported(target: str, problem: str) -> None:
    problems = {p.key: p.text for p in wrong_arguments(Config(model={"_target_": target}))}
    assert problems["model._target_"] == problem


@pytest.mark.parametrize("part", [{}, {"_target_": None}, {"units": 3}])
def test_a_part_without_a_target_is_reported(part: dict[str, object]) -> None:
    problems = {p.key: p.text for p in wrong_arguments(Config(model=part))}
    assert "has no _target_" in problems["model"]


def test_a_framework_is_found_without_being_imported() -> None:
    before = set(sys.modules)
    config = Config(optimizer={"_target_": "keras.optimizers.Adam", "anything": 3})
    assert [p for p in wrong_arguments(config) if p.key.startswith("optimizer")] == []
    assert "keras" not in set(sys.modules) - before
