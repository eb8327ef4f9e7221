"""Losses, metrics and activations of one output, and of several by name or as a list."""

import pytest

from dlrun.config.compose import compose
from dlrun.config.limits import metric_names
from dlrun.config.outputs import Output, logged_metrics, outputs_by_name
from dlrun.config.schema import Task
from dlrun.errors import DlrunError

MODEL = "model=ticket_classifier"
LOGGED = [
    *("loss", "priority_loss", "department_loss"),
    *("priority_mean_absolute_error", "department_accuracy"),
]


def error_text(*overrides: str) -> str:
    with pytest.raises(DlrunError) as caught:
        compose([MODEL, *overrides])
    return str(caught.value)


def test_one_output_has_no_name() -> None:
    task = compose([]).task
    assert outputs_by_name(task) is None
    assert list(logged_metrics(task)) == ["loss", "accuracy"]


@pytest.mark.parametrize("task", ["tickets", "tickets_by_list"])
def test_logs_of_several_outputs_begin_with_the_outputs_name(task: str) -> None:
    config = compose([MODEL, f"task={task}"])
    assert metric_names(config) == [*LOGGED, *(f"val_{name}" for name in LOGGED)]


def test_a_list_is_equivalent_to_a_mapping() -> None:
    tasks = ("tickets", "tickets_by_list")
    by_name, by_list = (compose([MODEL, f"task={task}"]).task for task in tasks)
    assert outputs_by_name(by_name) == outputs_by_name(by_list)
    assert by_list.outputs == ["priority", "department"]
    by_list.outputs = ["department", "priority"]
    assert outputs_by_name(by_list)["priority"].activation == "softmax"


def test_a_third_output_is_added_to_the_two() -> None:
    outputs = outputs_by_name(compose(["model=ticket_difficulty"]).task)
    assert list(outputs) == ["priority", "department", "difficulty"]
    assert outputs["difficulty"].activation == "softmax"


def test_the_only_loss_is_not_logged_twice() -> None:
    task = Task(loss={"a": "mse", "b": None}, metrics={"b": {"off": "mae"}})
    assert outputs_by_name(task) == {"a": Output(loss="mse"), "b": Output(metrics={"off": "mae"})}
    assert list(logged_metrics(task)) == ["loss", "b_off"]


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_department_accuracy", "max"),
        ("val_priority_loss", "min"),
        ("priority_mean_absolute_error", "min"),
    ],
)
def test_the_name_of_an_outputs_metric_determines_the_mode(monitor: str, mode: str) -> None:
    config = compose([MODEL, f"task.monitor={monitor}"])
    assert config.task.mode == config.callbacks["checkpoint"]["mode"] == mode


def test_the_class_of_an_outputs_metric_determines_the_mode() -> None:
    spec = "+task.metrics.department.hits={_target_:keras.metrics.SparseCategoricalAccuracy}"
    config = compose([MODEL, spec, "task.monitor=val_department_hits"])
    assert config.task.mode == "max"


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["loss=mean_squared_error"], "is for one output, but task.metrics is for several"),
        (["task.activation=softmax"], "expected a mapping"),
        (["+task.metrics.departmnt.mae=mae"], "no output 'departmnt' in task.loss"),
        (["task.metrics.department=mae"], "expected a mapping"),
        (["task.monitor=val_accuracy"], "nothing logs 'val_accuracy'; there are loss, priority_"),
        (["task=tickets_by_list", "task.loss=[mse]"], "expected 2, one for each of task.outputs"),
        (["task=tickets_by_list", "task.outputs=null"], "a list needs task.outputs"),
    ],
)
def test_inconsistent_outputs_are_reported(overrides: list[str], problem: str) -> None:
    assert problem in error_text(*overrides)


def test_an_unknown_output_gets_the_nearest_name_as_a_hint() -> None:
    with pytest.raises(DlrunError) as caught:
        compose([MODEL, "+task.activation.departmnt=softmax"])
    assert caught.value.hint == "did you mean task.activation.department=softmax?"
