"""Losses, metrics and activations of one output, of several by name, and in a list."""

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


def told(*overrides: str) -> str:
    with pytest.raises(DlrunError) as caught:
        compose([MODEL, *overrides])
    return str(caught.value)


def test_one_output_has_no_name() -> None:
    task = compose([]).task
    assert outputs_by_name(task) is None
    assert list(logged_metrics(task)) == ["loss", "accuracy"]


@pytest.mark.parametrize("task", ["tickets", "tickets_by_list"])
def test_several_outputs_log_their_names_first(task: str) -> None:
    config = compose([MODEL, f"task={task}"])
    assert metric_names(config) == [*LOGGED, *(f"val_{name}" for name in LOGGED)]


def test_a_list_is_the_same_as_names_in_order() -> None:
    by_name, by_list = (compose([MODEL, f"task={t}"]).task for t in ("tickets", "tickets_by_list"))
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
def test_an_outputs_metric_tells_whether_more_is_better(monitor: str, mode: str) -> None:
    config = compose([MODEL, f"task.monitor={monitor}"])
    assert config.task.mode == config.callbacks["checkpoint"]["mode"] == mode


def test_the_class_of_an_outputs_metric_tells_it_too() -> None:
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
def test_what_does_not_fit_is_told(overrides: list[str], problem: str) -> None:
    assert problem in told(*overrides)


def test_a_wrong_output_has_its_nearest_name() -> None:
    with pytest.raises(DlrunError) as caught:
        compose([MODEL, "+task.activation.departmnt=softmax"])
    assert caught.value.hint == "did you mean task.activation.department=softmax?"
