"""Class weights, sampling and weighted metrics are checked before anything is read."""

import pytest

from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.errors import DlrunError

TICKETS = ("model=ticket_classifier", "task=tickets", "task.monitor=loss")
NPZ = ("data=npz", "data.path=x.npz", "data.num_classes=3", "data.validation_samples=5")


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (["task.class_weight=balance"], "must be null, balanced, or a weight", "weight=balanced?"),
        (["task.class_weight=[1,2]"], "must be null, balanced, or a weight by class", ""),
        ([*NPZ, "task.class_weight={a: 1}"], "class_weight.a: there are classes 0 to 2", ""),
        (["task.class_weight={0: -1, 1: 2}"], "class_weight.0: expected a number from 0", ""),
        (["task.class_weight={0: x}"], "expected a number from 0, got 'x'", ""),
        (["task.class_weight={0: 0, 1: 0}"], "has no weight above 0", ""),
        ([*NPZ, "task.class_weight={3: 1}"], "there are classes 0 to 2", ""),
        ([*TICKETS, "task.class_weight=balanced"], "a mapping by output, of priority, depart", ""),
        (
            [*TICKETS, "task.class_weight={departmnt: balanced}"],
            "no output 'departmnt' in task.loss; there are priority, department",
            "task.class_weight.department?",
        ),
        (["task.sampling=oversampel"], "must be null, oversample or undersample", "oversample?"),
        ([*TICKETS, "task.sampling=oversample"], "must be a mapping by output", ""),
        (
            [*TICKETS, "task.sampling={priority: oversample, department: oversample}"],
            "can follow the classes of one output only",
            "",
        ),
        (
            ["task.class_weight=balanced", "task.sampling=oversample"],
            "draws as many samples of each class, and task.class_weight=balanced weighs them again",
            "",
        ),
        (["+task.metrics.accuracy.weighted=yess"], "weighted=yess: expected true or false", ""),
    ],
)
def test_what_is_wrong_is_said_in_one_line(overrides, message, hint):
    with pytest.raises(DlrunError) as caught:
        compose(overrides)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


def test_classes_are_text_however_they_are_given(tmp_path):
    assert compose(["task.class_weight={0: 1, 1: 5}"]).task.class_weight == {"0": 1, "1": 5}
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/rare.yaml").write_text(
        "# @package _global_\ntask:\n  class_weight: {0: 1, 1: 5}\n"
    )
    config = compose(["experiment=rare", "task.class_weight.1=7"], project=Project(tmp_path))
    assert config.task.class_weight == {"0": 1, "1": 7}
    config = compose([*TICKETS, "task.class_weight={department: {0: 1, 1: 2}}"])
    assert config.task.class_weight == {"department": {"0": 1, "1": 2}}
