"""What a user's own option files may hold: settings of Hydra, packages, the environment."""

from pathlib import Path

import pytest

from dlrun.config.compose import compose
from dlrun.errors import DlrunError


@pytest.fixture
def option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write an option of the working directory; returns its choice."""
    monkeypatch.chdir(tmp_path)

    def write(group: str, text: str) -> str:
        path = tmp_path / "configs" / group / "mine.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"{group}=mine"

    return write


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hydra: {job: {chdir: true}}", "hydra.job.chdir"),
        ("hydra: {run: {dir: elsewhere}}", "hydra.run.dir"),
        ("hydra: {sweep: {dir: a, subdir: b}}", "hydra.sweep.dir, hydra.sweep.subdir"),
        ("defaults: [override /hydra/job_logging: none]", "hydra.job_logging"),
    ],
)
def test_settings_of_hydra_are_refused_and_not_ignored(option, text, named):
    choice = option("experiment", f"# @package _global_\n{text}\nepochs: 3\n")
    with pytest.raises(DlrunError) as caught:
        compose([choice])
    assert caught.value.message.startswith(f"an option sets {named}")
    assert compose([]).epochs == 10  # the option is not chosen


def test_a_comment_on_hydra_is_no_setting(option):
    choice = option("experiment", "# @package _global_\n# As hydra does.\nepochs: 3\n")
    assert compose([choice]).epochs == 3


@pytest.mark.parametrize(
    "text",
    [
        "epochs: 3",
        "optimizer: {learning_rate: 0.1}",
        "defaults: [override /model: mnist_mlp]",
        "defaults: [/model: mnist_mlp]\nepochs: 3",
    ],
)
def test_an_experiment_without_its_package_gets_the_line_to_add(option, text):
    choice = option("experiment", f"# Mine.\n{text}\n")
    with pytest.raises(DlrunError) as caught:
        compose([choice])
    assert caught.value.hint == "begin the file with '# @package _global_'"


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.01", 0.01), ("1e-3", 0.001), ("-2.5", -2.5), ("3", 3.0), ("1.", 1.0), ("5E2", 500.0)],
)
def test_a_number_in_the_environment_is_one_where_a_number_is_wanted(
    option, monkeypatch, text, number
):
    monkeypatch.setenv("RATE", text)
    adam = "_target_: keras.optimizers.Adam\nlearning_rate: ${oc.env:RATE}\n"
    experiment = "# @package _global_\noptimizer: {learning_rate: '${oc.env:RATE}'}\n"
    for override in (
        "optimizer.learning_rate=${oc.env:RATE}",
        option("optimizer", adam),
        option("experiment", experiment),
    ):
        rate = compose([override]).optimizer["learning_rate"]
        assert rate == number, override
        assert not isinstance(rate, str)


def test_text_and_typed_keys_of_the_environment_are_as_before(option, monkeypatch):
    for name, value in {"EPOCHS": "4", "ID": "007", "FILE": "123", "WORD": "fast"}.items():
        monkeypatch.setenv(name, value)
    config = compose(
        [
            "epochs=${oc.env:EPOCHS}",
            "name=${oc.env:ID}",
            "runs_dir=${oc.env:EPOCHS}",
            "data=npz",
            "data.num_classes=2",
            "data.path=${oc.env:FILE}",
            "data.validation_samples=${oc.env:EPOCHS}",
        ]
    )
    assert (config.epochs, config.name, config.runs_dir) == (4, "007", "4")
    assert (config.data["path"], config.data["validation_samples"]) == ("123", 4)
    with pytest.raises(DlrunError, match="expected a number, got 'fast'"):
        compose(["optimizer.learning_rate=${oc.env:WORD}"])
    with pytest.raises(DlrunError, match="'MISSING' not found"):
        compose(["optimizer.learning_rate=${oc.env:MISSING}"])


def test_the_loss_and_metrics_of_an_experiment_replace_those_of_its_task(option):
    task = "{metrics: {mean_absolute_error: {activation: linear}}}"
    choice = option(
        "experiment",
        "# @package _global_\ndefaults:\n- override /task: regression\n"
        "- override /loss: mean_squared_error\n- override /metrics: [mean_absolute_error, mse]\n"
        f"task: {task}\n",
    )
    replaced = compose([choice]).task
    typed = compose(["task=regression", "loss=mean_squared_error", "metrics=[mae,mse]"]).task
    assert replaced.loss == typed.loss
    assert replaced.metrics["mse"] == typed.metrics["mse"]
    # The experiment's own keys stay.
    expected = {**typed.metrics["mae"], "activation": "linear"}
    assert replaced.metrics["mean_absolute_error"] == expected
    only = option("experiment", "# @package _global_\ndefaults: [override /metrics: [mse]]\n")
    assert list(compose([only, "task=regression"]).task.metrics) == ["mse"]
    assert compose([only, "task=regression"]).task.loss == compose(["task=regression"]).task.loss


def test_a_task_of_ones_own_may_choose_metrics_and_add_some(option):
    choice = option(
        "task",
        "defaults:\n- override /metrics@_global_.metrics: [accuracy]\n- _self_\n"
        "loss: {_target_: keras.losses.SparseCategoricalCrossentropy, from_logits: true}\n"
        "metrics: {mine: {_target_: keras.metrics.SparseCategoricalAccuracy}}\n",
    )
    assert list(compose([choice]).task.metrics) == ["accuracy", "mine"]
