"""What people type who know other tools is refused with what it is called here."""

from pathlib import Path

import pytest

from dlrun.config.compose import compose
from dlrun.config.sweeps.expand import expand
from dlrun.errors import DlrunError


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("lr=0.1", "did you mean optimizer.learning_rate=0.1?"),
        ("optimizer.lr=0.1", "did you mean optimizer.learning_rate=0.1?"),
        ("trainer.max_epochs=3", "did you mean epochs=3?"),
        ("datamodule.batch_size=3", "did you mean batch_size=3?"),
        ("hydra.run.dir=x", "did you mean runs_dir=x?"),
        ("early_stopping=null", "did you mean ~callbacks.early_stopping?"),
        ("seed=[1,2,3]", "dlrun sweep seed=1,2,3, a run for each"),
        ("model.units=[16, 64]", "dlrun sweep model.units=16,64, a run for each"),
        ("seed=1,,2", "'seed=1,2,3', without spaces"),
        ("seed=1,", "'seed=1,2,3', without spaces"),
        ("runs.csv", "dlrun sweep --runs FILE"),
        ("optimizer.learning_rate=uniform(0.1, 1)", "rate=interval(0.1, 1)' in a search"),
        ("model.units=tune.loguniform(1,9)", "'model.units=tag(log, interval(1,9))'"),
        ("model.units=categorical([1,2])", "'model.units=choice(1,2)'"),
    ],
)
def test_what_other_tools_call_it_has_its_name_here_as_a_hint(typed: str, hint: str) -> None:
    with pytest.raises(DlrunError) as refused:
        compose([typed])
    assert refused.value.exit_code == 2
    assert hint in (refused.value.hint or "")


def test_a_key_of_other_options_of_its_group_names_them() -> None:
    with pytest.raises(DlrunError) as refused:
        compose(["optimizer.momentum=0.9"])
    hint = refused.value.hint or ""
    assert " sgd, " in hint and "adam" not in hint and "where(optimizer=" in hint
    assert compose(["optimizer=sgd", "optimizer.momentum=0.9"]).optimizer["momentum"] == 0.9


def test_a_key_of_an_option_of_your_own_names_it(tmp_path: Path) -> None:
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer/mine.yaml").write_text("_target_: keras.optimizers.SGD\nmy_rate: 1\n")
    with pytest.raises(DlrunError) as refused:
        compose(["optimizer.my_rate=2"], config_dir=tmp_path)
    assert "optimizer=mine has it" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["tracker.mlflow.uri=x"], "+tracker=mlflow adds it"),
        (["callbacks=[]", "callbacks.early_stopping.patience=3"], "+callbacks=early_stopping adds"),
        (["metrics=[]", "task.metrics.auc.num_thresholds=50"], "+metrics=auc adds it"),
        (["data.arguments.rows=5"], "data=function has it"),
    ],
)
def test_a_key_of_an_option_that_is_not_chosen_names_the_option(
    typed: list[str], hint: str
) -> None:
    with pytest.raises(DlrunError, match="is not a config key") as refused:
        compose(typed)
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize("typed", ["reproduces.x=1", "+sweep.x=1", "name.x=1", "epochs.x=1"])
def test_a_key_below_no_mapping_is_refused(typed: str) -> None:
    with pytest.raises(DlrunError, match="is not a config key"):
        compose([typed])


def test_a_callback_that_is_null_is_removed_otherwise() -> None:
    with pytest.raises(DlrunError, match=r"can't be null: ~callbacks\.early_stopping removes it"):
        compose(["callbacks.early_stopping=null"])
    assert "early_stopping" not in compose(["~callbacks.early_stopping"]).callbacks


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["zip(model.units=4,16 batch_size=64,128)"], "lr_batch=zip("),
        (["where(optimizer=sgd,0.1)"], "'optimizer.momentum=where(optimizer=sgd,0,0.9)'"),
        (
            ["optimizer=adam,sgd", "optimizer.momentum=where(optimizer=sdg,0,0.9)"],
            "did you mean where(optimizer=sgd,...)?",
        ),
    ],
)
def test_a_dimension_without_a_name_or_that_never_holds_says_how(
    typed: list[str], hint: str
) -> None:
    with pytest.raises(DlrunError) as refused:
        expand(typed)
    assert hint in (refused.value.hint or "")
