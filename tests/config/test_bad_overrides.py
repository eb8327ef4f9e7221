"""Overrides that can't be used are reported in one line, with what was meant."""

import json
from pathlib import Path

import pytest

from calls import dlrun, refused

pytestmark = pytest.mark.usefixtures("cwd")


# Bad input: the override, words of the message, words of the hint (None: no hint is expected)

BAD = [
    # group options
    ("model=mnist_mpl", "no such option in group 'model'", "did you mean model=mnist_mlp?"),
    ("backend=tensorflw", "there are jax, numpy, tensorflow, torch", "backend=tensorflow?"),
    ("model=MNIST_MLP", "no such option in group 'model'", "did you mean model=mnist_mlp?"),
    ("optimizer=SGD", "no such option in group", "did you mean optimizer=sgd?"),
    ("data=MNIST", "no such option in group 'data'", "did you mean data=mnist?"),
    ("experiment=first", "no such option", "did you mean experiment=first_network?"),
    ("experiment=first_netwrk", "no such option", "did you mean experiment=first_network?"),
    ("++model=mnist_mpl", "no such option in group 'model'", "model=mnist_mlp?"),
    ("+callbacks=tensorbord", "no such option", "did you mean +callbacks=tensorboard?"),
    ("loss=mean_squard_error", "no such option in group 'loss'", "loss=mean_squared_error?"),
    ("+export=onnx", "no such option in group 'export'", "dlrun export RUN --format onnx"),
    ("+metrics=acu", "no such option in group 'metrics'", "did you mean +metrics=auc?"),
    ("metrics=[accuracy,acu]", "no such option", "did you mean metrics=[accuracy,auc]?"),
    ("+loss=kl_divergence", "adds to 'loss', which takes one", "mean loss=kl_divergence?"),
    ("++model=mnist_mlp", "adds to 'model', which takes one", "did you mean model=mnist_mlp?"),
    ("loss=null", "can't be null", None),
    ("model=mlp", "no such option in group 'model'", "did you mean model=mnist_mlp?"),
    ("loss=crossentropy", "no such option", "did you mean loss=sparse_categorical_crossentropy?"),
    ("metrics=none", "no such option in group 'metrics'", "did you mean metrics=[]?"),
    ("schedule=none", "no such option in group 'schedule'", "did you mean schedule=constant?"),
    ("profile=off", "no such option in group 'profile'", "did you mean profile=none?"),
    ("distribution=null", "can't be null", "did you mean distribution=none?"),
    ("scheduler=none", "'scheduler' is not a config key", "did you mean schedule=constant?"),
    ("schedul=null", "'schedul' is not a config key", "did you mean schedule=constant?"),
    ("metric=none", "'metric' is not a config key", "did you mean metrics=[]?"),
    ("+callback=off", "'callback' is not a config key", "did you mean callbacks=[]?"),
    ("optimzer=none", "is not a config key", "optimizer=NAME, of 'dlrun list optimizer'"),
    ("scheduler=cosine", "is not a config key", "did you mean schedule=cosine?"),
    ("callbacks.early_stopping=none", "~callbacks.early_stopping removes it", None),
    ("callbacks.early_stopping=false", "expected a mapping", "mean ~callbacks.early_stopping?"),
    ("task.metrics.accuracy=false", "expected a mapping", "did you mean ~task.metrics.accuracy?"),
    ("+callback=tensorboard", "is not a config key", "did you mean +callbacks=tensorboard?"),
    ("++metric=auc", "'metric' is not a config key", "did you mean +metrics=auc?"),
    ("hydra/launcher=joblib", "is not a config key", "dlrun sweep --launcher joblib"),
    ("hydra/sweeper=optuna", "is not a config key", "dlrun sweep --search optuna"),
    ("~loss", "'loss' can't be removed", "choose another option"),
    ("~metrics", "'metrics' can't be removed", "metrics=[] removes all"),
    ("loss.from_logits=true", "is not a config key", "did you mean task.loss.from_logits=true?"),
    ("~max_time", "is not a config key", "did you mean ~max_steps?"),
    ("callbacks=[default,max_time] ~max_time", "is not a config key", "~callbacks.max_time?"),
    ("~checkpoint", "is not a config key", "did you mean ~callbacks.checkpoint?"),
    ("~metrics.accuracy", "is not a config key", "did you mean ~task.metrics.accuracy?"),
    ("callbacks=[default,tensorbord]", "no such option", "callbacks=[default,tensorboard]?"),
    ("backend=[jax,torch]", "one", ""),
    ("model=null", "model=null", ""),
    ("data=null", "data=null", ""),
    ("callbacks=null", "callbacks=null", "did you mean callbacks=[]?"),
    ("+callbacks=swap_ema_weights", "the optimizer computes none", "+optimizer.use_ema=true"),
    ("~callbacks", "~callbacks", ""),
    ("~model", "~model", ""),
    ("~backend", "~backend", ""),
    ("backend=3", "no such option in group 'backend'", ""),
    # keys
    ("checkpoint=5", "is not a config key", "did you mean checkpoint.every=5?"),
    ("epoch=3", "'epoch' is not a config key", "did you mean epochs=3?"),
    ("data.sampling=oversample", "not a config key", "did you mean task.sampling=oversample?"),
    ("model.learning_rate=0.1", "not a config key", "did you mean optimizer.learning_rate=0.1?"),
    ("task.validation_samples=9", "not a config key", "mean data.validation_samples=9?"),
    ("~model.monitor", "not a config key", "did you mean ~task.monitor?"),
    ("early_stopping.monitor=loss", "not a config key", "callbacks.early_stopping.monitor=loss?"),
    ("++epoch=3", "'epoch' is not a config key", "did you mean epochs=3?"),
    ("learning_rate=0.1", "is not a config key", "did you mean optimizer.learning_rate=0.1?"),
    ("units=3", "is not a config key", "did you mean model.units=3?"),
    ("model.unit=3", "'model.unit' is not a config key", "did you mean model.units=3?"),
    ("~callbacks.csvv", "'callbacks.csvv' is not a config key", "did you mean ~callbacks.csv?"),
    ("metric=auc", "is not a config key", "did you mean metrics=auc?"),
    ("metrics.x=1", "is not a config key", None),
    ("experimnt=digits", "is not a config key", "did you mean experiment=digits?"),
    ("experiments=digits", "is not a config key", "did you mean experiment=digits?"),
    ("+typo=1", "'typo' is not a config key", None),
    ("choices.model=x", "'choices.model' is not a config key", "did you mean model=x?"),
    ("hydra.run.dir=x", "'hydra.run.dir' is not a config key", "did you mean runs_dir=x?"),
    (
        "optimizer.nosuchthing=1",
        "'optimizer.nosuchthing' is not a config key",
        "optimizer=adam takes learning_rate, ",
    ),
    # arguments of components
    ("+model.unit=3", "takes no 'unit'; it takes units", "did you mean model.units=3?"),
    ("+loop.epochs=3", "takes no 'epochs'", ""),
    ("+callbacks.csv.file=x", "dlrun.callbacks.csv.CSV takes no 'file'", ""),
    ("model._target_=nosuch.net", "no module named 'nosuch'", None),
    ("model._target_=dlrun.models.nosuch.net", "no module named 'dlrun.models.nosuch'", None),
    ("model._target_=dlrun.models.mnist_mlp.nosuch", "nosuch", ""),
    ("+callbacks.mine={_target_:nosuch.f}", "no module named 'nosuch'", None),
    # types
    ("epochs=ten", "expected a number, got 'ten'", "as in epochs=10"),
    ("++epochs=x", "expected a number, got 'x'", "as in epochs=10"),
    ("batch_size=1.5", "expected an integer, got '1.5'", "as in batch_size=128"),
    ("batch_size=null", "can't be null", None),
    ("epochs=-0.5", "must be a number above 0, got -0.5", None),
    ("epochs=null", "the run has no length: give epochs or max_steps", None),
    ("max_steps=0", "must be at least 1, got 0", None),
    ("validate_every=2x", "expected steps, such as 500, epochs, such as 2e, or a time", None),
    ("validate_every=0.1s", "must be at least 1s, got 0.1s", None),
    ("smoke=maybe", "expected true or false, got 'maybe'", "as in smoke=true"),
    (
        "optimizer.learning_rate=fast",
        "expected a number, got 'fast'",
        "as in optimizer.learning_rate=0.001",
    ),
    ("model.units=many", "expected an integer, got 'many'", "as in model.units=512"),
    ("model.units=true", "expected an integer, got True", "as in model.units=512"),
    ("device.index=x", "expected an integer, got 'x'", None),
    ("data.limit=x", "data.limit=x: ", None),
    ("data.limit=1.5", "data.limit=1.5: ", None),
    ("data.limit=true", "data.limit=true: ", None),
    ("data.validation_samples=null", "data.validation_samples=null: ", None),
    ("callbacks.early_stopping=3", "expected a mapping", None),
    ("task.metrics=3", "task.metrics=3: ", None),
    # limits
    ("epochs=0", "must be a number above 0, got 0", None),
    ("batch_size=0", "must be at least 1, got 0", None),
    ("loop.steps_per_execution=0", "must be at least 1, got 0", None),
    ("loop.jit_compile=maybe", "must be auto, true or false, got maybe", None),
    ("+loop.steps_per_epoch=1000", "takes no 'steps_per_epoch'", ""),
    ("batch_size=-1", "must be at least 1, got -1", None),
    ("seed=-1", "must be at least 0, got -1", None),
    ("seed=4294967296", "must be at most 4294967295", None),
    ("data.limit=0", "must be at least 1, got 0", None),
    ("data.validation_samples=-1", "must be at least 0, got -1", None),
    ("name=a/b", "must be letters, digits", None),
    ("name=..", "must be letters, digits", None),
    ("precision=mixed_float", "must be one of float32,", "did you mean precision=mixed_float16?"),
    ("task.mode=mi", "must be one of min, max", "did you mean task.mode=min?"),
    ("device=gpu:x", "device=gpu:x: no such option", "did you mean device=gpu?"),
    ("device=gpux:1", "no such option in group 'device'", "did you mean device=gpu"),
    ("device.kind=gpuu", "must be one of auto, cpu, gpu, tpu", "did you mean device.kind=gpu?"),
    # monitor
    ("task.monitor=val_acc", "nothing logs 'val_acc'", "task.monitor=val_accuracy?"),
    (
        "callbacks.early_stopping.monitor=val_los",
        "there are loss, accuracy, val_loss, val_accuracy",
        "did you mean callbacks.early_stopping.monitor=val_loss?",
    ),
    ("data.validation_samples=0", "nothing logs 'val_loss' without a validation split", ""),
    # grammar
    ("epochs=", "epochs=: has no value after '='", "as in epochs=10"),
    ("name=", "name=: has no value after '='", "name=VALUE"),
    ("optimizer=", "has no value after '='", "optimizer=NAME, of 'dlrun list optimizer'"),
    ("+metrics=", "has no value after '='", "metrics=NAME, of 'dlrun list metrics'"),
    ("optimizer.learning_rate=", "has no value", "as in optimizer.learning_rate=0.001"),
    ("++optimizer.new=", "has no value after '='", "optimizer.new=VALUE"),
    ("max_time=", "has no value after '='", "callbacks.max_time.limit=VALUE"),
    ("nosuch=", "'nosuch' is not a config key", None),
    ("data=csv data.path=null", "data.path: can't be null", "data.path=VALUE"),
    ("data=csv data.path=[a]", "data.path=[a]: expected text, got ['a']", ""),
    ("data=csv data.path=2026", "data.path=2026: no such file", "starts from"),
    ("data=csv data.path=a data.path=1_0", "data.path=1_0: no such file", "a relative path starts"),
    ("data=csv data.path=a data.format=jsonlines", "data.format=jsonlines: expected", "=jsonl?"),
    ("data=csv data.path=a data.test=null", "data.test: can't be null", "data.test=0.15"),
    ("data=csv data.path=a data.path=null", "data.path: can't be null", "data.path=VALUE"),
    ("data=csv data.path=a data.cache_gb=null", "data.cache_gb: can't be null", "cache_gb=10"),
    ("data=csv data.path=a data.drop=null data.fold=null", "data.path=a: no such file", ""),
    ("data=csv data.path=a ~data._target_", "has no _target_: choose an option", None),
    ("data=csv ~data.path", "data.path: needs a value: data.path=...", None),
    ("task.metrics=[]", "task.metrics=[]: expected a mapping", None),
    ("task.outputs={}", "task.outputs={}: expected a list", None),
    # removed keys
    ("~epochs", "the run has no length: give epochs or max_steps", None),
    ("~seed", "'seed' can't be removed: each run needs it", "as in seed=0"),
    ("~backend.name", "'backend.name' can't be removed", "backend.name=VALUE sets another"),
    ("~task.monitor", "'task.monitor' can't be removed", "task.monitor=VALUE sets another"),
    ("~seed=3", "can't be removed: its value is 0", "did you mean ~seed?"),
    ("~model.units=3", "can't be removed: its value is 512", "did you mean ~model.units?"),
    ("~optimizer.weight_decay=3", "its value is null", "did you mean ~optimizer.weight_decay?"),
    ("~optimizer.nosuch", "'optimizer.nosuch' is not a config key", ""),
    ("seed=,1", "has an empty value", "'seed=1,2,3', without spaces"),
    ("seed=x", "expected an integer, got 'x'", "as in seed=0"),
    ("epochs=[", "epochs=[: can't be parsed", "quote special characters"),
    (
        "houses.csv",
        "houses.csv is not an override: expected key=value",
        "did you mean data=table data.path=houses.csv?",
    ),
    (
        "data.path=a.csv",
        "'data.path' is not a config key",
        "did you mean data=table data.path=a.csv?",
    ),
    (
        "data=data/a.csv.gz",
        "no such option in group 'data'",
        "did you mean data=table data.path=data/a.csv.gz?",
    ),
    ("epochs", "epochs is not an override: expected key=value", "did you mean epochs=VALUE?"),
    ("model", "model is not an override", "model=NAME, of 'dlrun list model'"),
    ("zzz", "zzz is not an override", "'dlrun list' shows the options"),
    ("all", "all is not an override", "'dlrun list' shows the options"),
    ("test", "test is not an override", "'dlrun list' shows the options"),
    ("false", "false is not an override", "an option such as --json takes no value"),
    ("mine.yaml", "mine.yaml is not an override", "a preset of your own is configs/experiment"),
    ("=3", "=3: has no key before '='", "'dlrun config' the keys"),
    ("", "'' is not an override", "'dlrun config' the keys"),
    ("epochs=1,2", "has several values, but a run takes one", "'dlrun sweep' trains"),
    ("model=mnist_mlp,other", "has several values, but a run takes one", "'dlrun sweep' trains"),
    ("epochs=range(1,3)", "has several values, but a run takes one", "'dlrun sweep' trains"),
    ("epochs=choice(1,2)", "has several values, but a run takes one", "'dlrun sweep' trains"),
    (
        "name=zip(epochs=1,2 seed=1,2)",
        "has several values, but a run takes one",
        "'dlrun sweep' trains",
    ),
    # left open
    ("epochs=???", "epochs: needs a value: epochs=...", None),
    ("name=${foo}", "name=${foo}: Interpolation key 'foo' not found", None),
    ("runs_dir=${oc.env:DLRUN_NO_SUCH}", "'DLRUN_NO_SUCH' not found", None),
]


def _words(typed: str) -> list[str]:
    """Several overrides, if they begin with an option."""
    return typed.split() if typed.startswith(("data=", "callbacks=")) else [typed]


@pytest.mark.parametrize(("override", "words", "hint"), BAD, ids=[repr(bad[0]) for bad in BAD])
def test_bad_input_is_reported_in_one_line(
    cwd: Path, override: str, words: str, hint: str | None
) -> None:
    # 'train' would start with whatever 'config' accepts.
    message, _, hinted = refused("config", *_words(override)).partition("\n\nhint: ")
    assert words in message
    assert "\n" not in message.strip()
    if hint is None:
        assert hinted == ""
    else:
        assert hint in hinted
    assert list(cwd.iterdir()) == []


def test_a_hint_never_proposes_another_target() -> None:
    assert "_target_" not in refused("config", "optimizer=sgd", "optimizer.beta_1=0.1")


def test_all_mistakes_are_reported_at_once() -> None:
    error = refused(
        "config",
        "model=mnist_mpl",
        "epoch=3",
        "batch_size=x",
        "epochs=",
        "seed=1,2",
        "model.units=[",
        "runs_dir=???",
    )
    head, *rows = error.split("\n\n")[0].splitlines()
    assert head == "error: 7 mistakes in the config"
    assert {row.split()[0] for row in rows} == {
        "model=mnist_mpl",
        "epoch=3",
        "batch_size=x",
        "epochs=",
        "seed=1,2",
        "model.units=[",
        "runs_dir",
    }
    assert "hint: did you mean model=mnist_mlp, epochs=3?" in error


def test_all_limits_and_arguments_are_reported_at_once() -> None:
    error = refused("config", "epochs=0", "precision=float", "+model.unit=3", "task.monitor=x")
    assert error.startswith("error: 4 mistakes in the config\n")


def test_a_quoted_empty_text_is_a_value() -> None:
    config = json.loads(dlrun("config", "task.activation=''", "--json").stdout)
    assert config["task"]["activation"] == ""


def test_config_dir_must_exist() -> None:
    error = refused("config", "--config-dir", "nosuch")
    assert "--config-dir nosuch: no such directory" in error
    assert "hint: " in error
