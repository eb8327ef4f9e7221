"""What people type who know other tools is refused with what it is called here."""

from pathlib import Path

import pytest

from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.config.sweeps.expand import expand
from dlrun.errors import DlrunError


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("lr=0.1", "did you mean optimizer.learning_rate=0.1?"),
        ("optim.lr=0.1", "did you mean optimizer.learning_rate=0.1?"),
        ("optimizer.max_grad_norm=1", "did you mean optimizer.clipnorm=1?"),
        ("optimizer.name=sgd", "did you mean optimizer=sgd?"),
        ("accumulate_grad_batches=4", "did you mean +optimizer.gradient_accumulation_steps=4?"),
        ("save_steps=100", "did you mean callbacks.checkpoint.every_steps=100?"),
        ("warmup_steps=9", "schedule=warmup_cosine schedule.unit=steps schedule.warmup=9?"),
        ("trainer.max_time=1h", "did you mean +callbacks=max_time callbacks.max_time.limit=1h?"),
        ("trainer.check_val_every_n_epoch=2", "did you mean validate_every=2e?"),
        ("trainer.devices=2", "did you mean device.count=2?"),
        ("report_to=wandb", "did you mean tracker=wandb?"),
        ("fp16=true", "did you mean precision=mixed_float16?"),
        ("precision=bf16-mixed", "did you mean precision=mixed_bfloat16?"),
        ("device=cuda:0", "did you mean device=gpu?"),
        ("loss=mse", "did you mean loss=mean_squared_error?"),
        ("early_stopping_patience=3", "did you mean callbacks.early_stopping.patience=3?"),
        ("trainer.ckpt_path=x", "dlrun resume RUN continues a run"),
        ("data.sep=x", "it is data.delimiter here; data=table, timeseries have it"),
        ("save_total_limit=3", "did you mean callbacks.checkpoint.keep=3?"),
        ("checkpoint.save_total_limit=3", "did you mean callbacks.checkpoint.keep=3?"),
        ("validation_freq=2", "did you mean validate_every=2e?"),
        ("data.num_workers=4", "batches are gathered beside the training, without processes"),
        ("callbacks.lr_scheduler.factor=0.5", "callbacks.reduce_lr_on_plateau.factor=0.5?"),
        ("callbacks.lr_scheduler.gamma=0.5", "schedule=NAME, of 'dlrun list schedule'"),
        ("scheduler=cosine", "did you mean schedule=cosine?"),
        ("model.num_layers=3", "it is model.blocks here; model=forecaster, "),
        ("model.stages=3", "model=mnist_mlp takes units"),
        ("dropout=0.2", "it is model.dropout here; model=forecaster, "),
        ("num_classes=10", "a model takes it from the data set"),
        ("dataset.path=x.csv", "it is data.path here; data=huggingface, "),
        ("dataset=mnist", "did you mean data=mnist?"),
        ("data=digits", "did you mean data=sklearn data.name=digits?"),
        ("data=cifar10", "did you mean data=keras data.name=cifar10?"),
        ("val_size=0.2", "it is data.validation here"),
        ("load_best_model_at_end=true", "is restored at the end of a run by itself"),
        ("early_stopping=true", "callbacks.early_stopping is on"),
        ("max_steps=1e3", "did you mean max_steps=1000?"),
        ("model.units=64.0", "did you mean model.units=64?"),
        ("optimizer.lr=0.1", "did you mean optimizer.learning_rate=0.1?"),
        ("trainer.max_epochs=3", "did you mean epochs=3?"),
        ("datamodule.batch_size=3", "did you mean batch_size=3?"),
        ("hydra.run.dir=x", "did you mean runs_dir=x?"),
        ("early_stopping=null", "did you mean ~callbacks.early_stopping?"),
        ("seed=[1,2,3]", "dlrun sweep seed=1,2,3, a run for each"),
        ("model.units=[16, 64]", "dlrun sweep model.units=16,64, a run for each"),
        ("seed=1,,2", "'seed=1,2,3', without spaces"),
        ("seed=1,", "'seed=1,2,3', without spaces"),
        ("exp=digits", "did you mean experiment=digits?"),
        ("preset=digits", "did you mean experiment=digits?"),
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


TABLE = ("data=table", "data.path=a.csv", "data.target=y")
SERIES = ("data=timeseries", "data.path=a.csv", "data.target=y", "data.time=t")
IMAGES = ("data=image_folder", "data.path=photos")
HUGGING_FACE = ("data=huggingface", "data.path=reviews")


@pytest.mark.parametrize(
    ("data", "typed", "hint"),
    [
        (TABLE, "data.sep='\";\"'", "data.delimiter='\";\"'"),
        (TABLE, "data.na_values=[x]", "data.missing=[x]"),
        (TABLE, "data.nrows=9", "data.limit=9"),
        (TABLE, "data.index_col=id", "data.drop=[id]"),
        (TABLE, "data.label=y", "data.target=y"),
        (TABLE, "data.labels=y", "data.target=y"),
        (TABLE, "data.y=y", "data.target=y"),
        (TABLE, "data.val_split=0.2", "data.validation=0.2"),
        (TABLE, "data.test_size=0.2", "data.test=0.2"),
        (TABLE, "data.group=house", "data.split=group data.by=house"),
        (TABLE, "data.n_splits=5", "data.folds=5"),
        (TABLE, "data.random_state=5", "data.seed=5"),
        (TABLE, "data.batch_size=5", "batch_size=5"),
        (SERIES, "data.series=house", "data.group=house"),
        (IMAGES, "data.directory=x", "data.path=x"),
        (IMAGES, "data.image_size=[64,64]", "data.size=[64,64]"),
        (IMAGES, "data.target_size=64", "data.size=64"),
        (IMAGES, "data.crop_to_aspect_ratio=true", "data.resize=crop"),
        (HUGGING_FACE, "data.dataset_name=imdb", "data.name=imdb"),
        (HUGGING_FACE, "data.data_files=x", "data.path=x"),
        (HUGGING_FACE, "dataset.config_name=x", "data.config=x"),
    ],
)
def test_what_other_tools_call_a_key_of_data_has_its_name_here_as_a_hint(
    data: tuple[str, ...], typed: str, hint: str
) -> None:
    with pytest.raises(DlrunError) as refused:
        compose([*data, typed], find=False)
    assert refused.value.hint == f"did you mean {hint}?"


@pytest.mark.parametrize("typed", ["optimizer.learning_rate=0.1", "learning_rate=0.1", "lr=0.1"])
def test_an_optimizer_of_another_library_has_the_words_of_that_as_a_hint(typed: str) -> None:
    with pytest.raises(DlrunError) as refused:
        compose(["backend=torch", "optimizer=torch_sgd", typed])
    assert refused.value.hint == "did you mean optimizer.lr=0.1?"


def test_what_each_answer_suggests_is_taken() -> None:
    compose(["callbacks.checkpoint.keep=3", "validate_every=1e3"])
    compose(["schedule=warmup_cosine", "schedule.warmup=0.5"])
    compose(["+callbacks=reduce_lr_on_plateau", "callbacks.reduce_lr_on_plateau.factor=0.5"])
    compose(["+callbacks=batch_log", "callbacks.batch_log.every=10"])


def test_a_wrong_key_of_a_callback_that_is_chosen_does_not_add_the_callback() -> None:
    with pytest.raises(DlrunError) as refused:
        compose(["callbacks.early_stopping.restore_best_weights=true"])
    assert "adds it" not in (refused.value.hint or "")


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
        compose(["optimizer.my_rate=2"], project=Project(tmp_path))
    assert "optimizer=mine has it" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["tracker.mlflow.uri=x"], "+tracker=mlflow adds it"),
        (["callbacks=[]", "callbacks.early_stopping.patience=3"], "+callbacks=early_stopping adds"),
        (["metrics=[]", "task.metrics.auc.num_thresholds=50"], "+metrics=auc adds it"),
        (["data.arguments.rows=5"], "data=function has it"),
        # Its group or its option is misspelt.
        (
            ["+callback.batch_log.every=10"],
            "it is callbacks.batch_log.every here; +callbacks=batch_log adds it",
        ),
        (
            ["callbacks.batchlog.every=10"],
            "it is callbacks.batch_log.every here; +callbacks=batch_log adds it",
        ),
        (["trackers.mlflow.uri=x"], "it is tracker.mlflow.uri here; +tracker=mlflow adds it"),
        (["metric.auc.num_thresholds=5"], "it is task.metrics.auc.num_thresholds here; +metrics="),
        (["optimiser.momentum=0.9"], "it is optimizer.momentum here; optimizer="),
        (["optimiser.lerning_rate=1"], "did you mean optimizer.learning_rate=1?"),
        (["callback.early_stopping.patience=3"], "callbacks.early_stopping.patience=3?"),
    ],
)
def test_a_key_of_an_option_that_is_not_chosen_names_the_option(
    typed: list[str], hint: str
) -> None:
    with pytest.raises(DlrunError, match="is not a config key") as refused:
        compose(typed)
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("task.sampling.y=oversample", "task.sampling={y: oversample}"),
        ("task.loss_weights.y=2", "task.loss_weights={y: 2}"),
        ("task.class_weight.y.rare=5", "task.class_weight={y: {rare: 5}}"),
    ],
)
def test_a_key_below_what_is_given_by_name_is_suggested_as_a_mapping(typed, meant) -> None:
    with pytest.raises(DlrunError, match="is not a config key") as refused:
        compose([typed])
    assert refused.value.hint == f"did you mean '{meant}'?"


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
        ("lr=1,2", "did you mean optimizer.learning_rate=1,2?"),
        ("modle=a,b", "did you mean model=a,b?"),
        ("lr=choice(1,2)", "did you mean 'optimizer.learning_rate=choice(1,2)'?"),
        ("runs.csv", "dlrun sweep --runs runs.csv trains the runs of a file"),
    ],
)
def test_a_mistake_of_a_sweep_has_all_its_values(typed: str, hint: str) -> None:
    with pytest.raises(DlrunError) as refused:
        expand([typed, "seed=1,2"])
    assert refused.value.message.startswith(typed)
    assert hint in (refused.value.hint or "")


def test_a_wrong_value_of_a_sweep_is_named_alone() -> None:
    with pytest.raises(DlrunError) as refused:
        expand(["model=mnist_mpl,mnist_mlp"])
    assert refused.value.message.startswith("model=mnist_mpl: no such option")


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
