"""Configs composed from overrides and option files, and changed by overrides."""

import re
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlrun.config.compose import compose, recompose, to_yaml
from dlrun.config.groups import EVALUABLE, GROUPS, RESUMABLE
from dlrun.config.options import shipped_configs
from dlrun.config.project import Project
from dlrun.config.run_config import read_config
from dlrun.config.schema import Config
from dlrun.config.sweeps.expand import expand
from dlrun.errors import DlrunError
from tables import write_all

pytestmark = pytest.mark.usefixtures("cwd")

CONFIGS = shipped_configs()
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def compose_error(*overrides: str, config_dir: Path | None = None) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        compose(overrides, project=Project(config_dir))
    assert caught.value.exit_code == 2
    return caught.value


def chosen(config: Config, group: str) -> list[str]:
    """The options of a group that a config has."""
    if not GROUPS[group].several:
        return [config.choices[group]]
    return list(config.task.metrics if group == "metrics" else getattr(config, group))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind that a command of an option names."""
    place = tmp_path_factory.mktemp("tables")
    write_all(place)
    return place


@pytest.mark.parametrize("file", FILES)
def test_every_yaml_begins_with_a_description_and_a_command_that_takes_it(
    file: str, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables)
    lines = (CONFIGS / file).read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if not line.startswith("# @package")][:2]
    assert re.match(r"# [A-Z].*\.$", head[0])
    verb, *words = re.fullmatch(r"#   dlrun (\w+) (.*)", head[1]).expand(r"\1 \2").split()
    if verb == "evaluate":
        assert words[0] == "latest"
        recompose(asdict(compose([])), words[1:], changeable=EVALUABLE)
        return
    if verb == "sweep":
        _, runs = expand(words)
        assert runs[1:]
    else:
        assert verb == "train"
        runs = [words]
    configs = [compose(run) for run in runs]
    group, _, name = file.removesuffix(".yaml").rpartition("/")
    takes = any(word.lstrip("+").startswith(f"{group}=") for word in words)
    if takes and name not in ("auto", "default", "none", "standard"):  # these stand for others
        assert any(name in chosen(config, group) for config in configs)


# Choices


def test_the_default_is_the_first_network_on_jax() -> None:
    config = compose([])
    assert config.choices == {
        "backend": "jax",
        "device": "auto",
        "distribution": "none",
        "profile": "none",
        "data": "mnist",
        "feed": "auto",
        "task": "classification",
        "loss": "sparse_categorical_crossentropy",
        "model": "mnist_mlp",
        "optimizer": "adam",
        "schedule": "constant",
        "loop": "fit",
    }
    assert (config.name, config.epochs, config.batch_size) == ("mnist_mlp", 10, 128)
    assert list(config.callbacks) == ["checkpoint", "early_stopping", "csv", "progress"]


def test_values_reach_their_keys_with_their_types() -> None:
    config = compose(
        ["epochs=3", "model.units=64", "optimizer.learning_rate=3e-4", "name=tuned", "seed=7"]
    )
    assert (config.epochs, config.model["units"], config.name) == (3, 64, "tuned")
    assert (config.optimizer["learning_rate"], config.seed) == (3e-4, 7)


@pytest.mark.parametrize(
    "typed",
    ["data.columns.zip=category", "data.columns={zip: category}", "+data.columns.zip=category"],
)
def test_keys_that_the_user_names_need_no_plus(typed: str) -> None:
    config = compose(["data=csv", "data.path=t.csv", "model=tabular", typed], find=False)
    assert config.data["columns"] == {"zip": "category"}


def test_a_wrong_key_in_a_mapping_is_named_with_the_nearest() -> None:
    with pytest.raises(DlrunError) as refused:
        compose(["model=mnist_mlp", "optimizer={learning_rat: 1}"])
    assert "'optimizer.learning_rat' is not a config key" in str(refused.value)
    assert refused.value.hint == "did you mean optimizer.learning_rate?"


def test_accuracy_of_the_largest_output_is_refused_where_there_is_one() -> None:
    task = ["model=mnist_mlp", "task=binary_classification"]
    with pytest.raises(DlrunError) as refused:
        compose([*task, "metrics=accuracy"])
    assert refused.value.message.startswith("metrics=accuracy: 'accuracy' takes the largest")
    assert refused.value.hint == "metrics=binary_accuracy"
    compose([*task, "metrics=binary_accuracy"])
    compose(["loss=binary_crossentropy", "task.activation=sigmoid"])  # of each of ten outputs


def test_a_composed_config_has_plain_values() -> None:
    def plain(node: object) -> bool:
        if isinstance(node, dict):
            return all(map(plain, node.values()))
        return node is None or type(node) in (str, int, float, bool, list)

    config = compose(["+callbacks=learning_rate_scheduler"])
    assert type(config) is Config
    assert plain(asdict(config))


def test_the_learning_rate_may_be_a_schedule() -> None:
    schedule = "{_target_:keras.optimizers.schedules.CosineDecay,initial_learning_rate:0.1}"
    config = compose([f"optimizer.learning_rate={schedule}"])
    assert config.optimizer["learning_rate"]["initial_learning_rate"] == 0.1


def test_a_loss_may_be_named() -> None:
    assert compose(["task.loss=sparse_categorical_crossentropy"]).task.loss == (
        "sparse_categorical_crossentropy"
    )


def test_an_added_metric_can_be_monitored() -> None:
    config = compose(["+task.metrics.mae=mae", "task.monitor=val_mae"])
    assert config.task.metrics["mae"] == "mae"
    assert config.callbacks["early_stopping"]["monitor"] == "val_mae"


def test_a_numbered_device_is_kind_and_index() -> None:
    config = compose(["device=gpu:1"])
    assert (config.device.kind, config.device.index) == ("gpu", 1)
    assert str(config.device) == "gpu:1"
    assert config.choices["device"] == "gpu"


def test_a_callback_is_added() -> None:
    names = list(compose(["+callbacks=tensorboard"]).callbacks)
    assert names == ["checkpoint", "early_stopping", "csv", "progress", "tensorboard"]


def test_a_callback_is_removed() -> None:
    names = list(compose(["~callbacks.csv"]).callbacks)
    assert names == ["checkpoint", "early_stopping", "progress"]


def test_callbacks_are_chosen_as_a_list() -> None:
    names = list(compose(["callbacks=[default,tensorboard]"]).callbacks)
    assert names == ["checkpoint", "early_stopping", "csv", "progress", "tensorboard"]
    assert compose(["callbacks=[]"]).callbacks == {}


@pytest.mark.parametrize("group", ["callbacks", "metrics"])
def test_options_are_added_one_at_a_time_and_in_lists(group: str) -> None:
    first, second, third = {
        "callbacks": ("tensorboard", "plots", "terminate_on_nan"),
        "metrics": ("auc", "recall", "precision"),
    }[group]
    config = compose([f"+{group}={first}", f"++{group}=[{second},{third}]"])
    assert chosen(config, group)[-3:] == [first, second, third]


# Losses and metrics


def test_a_chosen_loss_replaces_the_tasks_loss() -> None:
    config = compose(["loss=mean_squared_error"])
    assert config.choices["loss"] == "mean_squared_error"
    assert config.task.loss == {
        "_target_": "dlrun.losses.one_hot.OneHotLoss",
        "loss": "MeanSquaredError",
        "activation": "softmax",  # the task's own
    }
    assert compose(["loss=mean_squared_error", "task.activation=null"]).task.loss["activation"] is (
        None
    )


def test_an_argument_of_a_chosen_loss_is_set_below_task() -> None:
    config = compose(["task.loss.label_smoothing=0.1", "loss=categorical_crossentropy"])
    assert config.task.loss["label_smoothing"] == 0.1


def test_metrics_are_added_to_the_tasks_or_replace_them() -> None:
    assert list(compose(["+metrics=auc"]).task.metrics) == ["accuracy", "auc"]
    assert list(compose(["metrics=auc"]).task.metrics) == ["auc"]
    assert list(compose(["metrics=[auc]", "+metrics=recall"]).task.metrics) == ["auc", "recall"]
    assert compose(["metrics=[]"]).task.metrics == {}


def test_a_chosen_metric_can_be_monitored_and_its_direction_is_known() -> None:
    task = compose(["+metrics=auc", "task.monitor=val_auc"]).task
    assert (task.monitor, task.mode) == ("val_auc", "max")
    name = "root_mean_squared_error"
    assert compose([f"+metrics={name}", f"task.monitor=val_{name}"]).task.mode == "min"


INLINE = """\
# A task with its own loss.
loss:
  _target_: keras.losses.Huber
  delta: 2.0
metrics:
  mae:
    _target_: keras.metrics.MeanAbsoluteError
"""


def test_a_task_may_have_its_own_loss_which_overrides_replace(cwd: Path) -> None:
    write(cwd / "configs/task/mine.yaml", INLINE)
    config = compose(["task=mine"])
    assert config.task.loss == {"_target_": "keras.losses.Huber", "delta": 2.0}
    assert "loss" not in config.choices
    config = compose(["task=mine", "loss=kl_divergence", "+metrics=recall"])
    assert "delta" not in config.task.loss
    assert list(config.task.metrics) == ["mae", "recall"]
    assert list(compose(["task=mine", "metrics=recall"]).task.metrics) == ["recall"]


def test_a_typed_loss_takes_precedence_over_an_experiments(cwd: Path) -> None:
    text = "# @package _global_\n# Mine.\ndefaults:\n  - override /loss: cosine_similarity\n"
    write(cwd / "configs/experiment/mine.yaml", text + "  - override /metrics: [accuracy, auc]\n")
    config = compose(["experiment=mine"])
    assert config.task.loss["loss"] == "CosineSimilarity"
    assert list(config.task.metrics) == ["accuracy", "auc"]
    assert compose(["experiment=mine", "loss=kl_divergence"]).task.loss["loss"] == "KLDivergence"


def test_a_loss_file_without_a_package_gets_a_hint(cwd: Path) -> None:
    write(cwd / "configs/loss/mine.yaml", "_target_: keras.losses.Huber\n")
    assert compose(["loss=mine"]).task.loss == {"_target_": "keras.losses.Huber"}
    text = "# @package _global_\ndefaults:\n  - override /loss: mine\n"
    write(cwd / "configs/experiment/mine.yaml", text)
    error = compose_error("experiment=mine")
    assert "'loss/mine'" in error.message
    assert error.hint == "begin the file with '# @package task.loss'"


def test_a_callback_follows_the_monitored_metric() -> None:
    config = compose(["task.monitor=val_accuracy", "task.mode=max"])
    for name in ("checkpoint", "early_stopping", "progress"):
        assert config.callbacks[name]["monitor"] == "val_accuracy"
        assert config.callbacks[name]["mode"] == "max"


def test_overrides_take_precedence_over_an_experiment() -> None:
    assert compose(["experiment=first_network"]).epochs == 5
    config = compose(["experiment=first_network", "epochs=2", "optimizer=sgd"])
    assert (config.epochs, config.data["validation_samples"]) == (2, 0)
    assert config.choices["optimizer"] == "sgd"
    assert config.optimizer["_target_"] == "keras.optimizers.SGD"


def test_a_run_is_named_after_its_experiment_unless_named() -> None:
    assert compose(["experiment=first_network"]).name == "first_network"
    assert compose(["experiment=first_network", "name=mine"]).name == "mine"


# smoke=true


def test_smoke_is_one_epoch_of_three_batches() -> None:
    config = compose(["smoke=true"])
    assert (config.smoke, config.epochs, config.data["limit"]) == (True, 1, 384)


@pytest.mark.parametrize("typed", [["smoke=true", "epochs=2"], ["epochs=2", "smoke=true"]])
def test_overrides_take_precedence_over_smoke(typed: list[str]) -> None:
    config = compose(typed)
    assert (config.smoke, config.epochs, config.data["limit"]) == (True, 2, 384)


def test_smoke_takes_precedence_over_an_experiment() -> None:
    assert compose(["experiment=first_network", "smoke=true"]).epochs == 1


@pytest.mark.parametrize("typed", ["smoke=1", "smoke=yes", "smoke='true'", "++smoke=true"])
def test_smoke_accepts_every_spelling_of_true(typed: str) -> None:
    config = compose([typed])
    assert (config.smoke, config.epochs, config.data["limit"]) == (True, 1, 384)


def test_the_last_smoke_counts() -> None:
    config = compose(["smoke=true", "smoke=false"])
    assert (config.smoke, config.epochs, config.data["limit"]) == (False, 10, None)


# The user's own options

MINE = """\
# Mine.
#   dlrun train model=mine
defaults:
  - override /data@_global_.data: blobs
  - _self_
_target_: own_models.mine
width: 3
"""


@pytest.fixture
def own(cwd: Path) -> Path:
    write(cwd / "configs/model/mine.yaml", MINE)
    write(
        cwd / "own_models.py",
        "raise SystemExit('imported')\n\ndef mine(input_shape, num_classes, *, width): ...\n",
    )
    return cwd / "configs"


def test_an_option_in_the_working_directory_is_chosen_without_importing_it(own: Path) -> None:
    config = compose(["model=mine", "model.width=4"])
    assert config.model == {"_target_": "own_models.mine", "width": 4}
    assert config.name == "mine"
    assert "own_models" not in sys.modules


def test_an_option_in_config_dir_is_chosen(cwd: Path, own: Path) -> None:
    own.rename(cwd / "elsewhere")
    assert compose(["model=mine"], project=Project(Path("elsewhere"))).model["width"] == 3
    assert "mnist_mlp" in compose_error("model=mine").message


def test_a_users_option_replaces_a_shipped_one(cwd: Path) -> None:
    write(cwd / "configs/optimizer/adam.yaml", "_target_: keras.optimizers.Lion\n")
    assert compose([]).optimizer == {"_target_": "keras.optimizers.Lion"}


def test_a_model_brings_its_data_unless_data_is_typed(own: Path) -> None:
    config = compose(["model=mine"])
    assert config.choices["data"] == "blobs"
    assert config.data["_target_"] == "dlrun.data.blobs.blobs"
    assert compose(["model=mine", "data=mnist"]).data["_target_"] == "dlrun.data.mnist.mnist"


def test_an_experiment_chooses_a_model_and_gets_its_data(own: Path) -> None:
    text = "# @package _global_\n# Mine.\ndefaults:\n  - override /model: mine\n\nepochs: 50\n"
    write(own / "experiment/mine.yaml", text)
    config = compose(["experiment=mine"])
    assert (config.epochs, config.choices["model"], config.choices["data"]) == (50, "mine", "blobs")
    typed = compose(["experiment=mine", "model=mnist_mlp", "epochs=2"])
    assert (typed.epochs, typed.choices["model"], typed.choices["data"]) == (
        2,
        "mnist_mlp",
        "mnist",
    )


def test_an_experiment_can_be_a_smoke_run(own: Path) -> None:
    write(own / "experiment/quick.yaml", "# @package _global_\n# Quick.\nsmoke: true\n")
    config = compose(["experiment=quick"])
    assert (config.smoke, config.epochs, config.data["limit"]) == (True, 1, 384)


def test_another_primary_config_in_the_working_directory_is_ignored(cwd: Path) -> None:
    expected = compose([])
    write(cwd / "configs/config.yaml", "defaults:\n  - nosuch: thing\nepochs: 77\nintruder: 1\n")
    assert compose([]) == expected


def test_a_missing_value_in_a_file_must_be_typed(own: Path) -> None:
    write(own / "model/open.yaml", "_target_: dlrun.models.mnist_mlp.mnist_mlp\nunits: ???\n")
    assert compose_error("model=open").message == "model.units: needs a value: model.units=..."
    assert compose(["model=open", "model.units=3"]).model["units"] == 3


@pytest.mark.parametrize(
    ("file", "text", "override", "words"),
    [
        ("model/a.yaml", "a: [1\n", "model=a", ["model/a.yaml"]),
        ("model/b.yaml", "- 1\n", "model=b", ["model/b"]),
        ("model/c.yaml", "# Empty.\n", "model=c", ["model", "_target_"]),
        ("model/d.yaml", "_target_: nosuch.model\n", "model=d", ["model._target_", "'nosuch'"]),
        ("model/e.yaml", "_target_: nosuch\n", "model=e", ["model._target_", "'nosuch'"]),
        ("data/f.yaml", "_target_: dlrun.data.mnist.mnist\nlimit: ${no}\n", "data=f", ["'no'"]),
        ("experiment/g.yaml", "# @package _global_\nepoch: 3\n", "experiment=g", ["'epoch'"]),
        ("experiment/h.yaml", "# @package _global_\nepochs: x\n", "experiment=h", ["epochs", "x"]),
        (
            "experiment/i.yaml",
            "# @package _global_\ndefaults:\n  - override /model: nosuch\n",
            "experiment=i",
            ["model/nosuch"],
        ),
    ],
    ids=["yaml", "list", "empty", "module", "target", "interpolation", "key", "type", "choice"],
)
def test_a_mistake_in_a_users_file_is_reported_in_one_line(
    cwd: Path, file: str, text: str, override: str, words: list[str]
) -> None:
    write(cwd / "configs" / file, text)
    message = compose_error(override).message
    assert len(message.splitlines()) == 1
    assert [word for word in words if word not in message] == []


# Record and recompose


def record_of(*overrides: str) -> dict[str, Any]:
    return yaml.safe_load(_yaml_of(*overrides))


@cache
def _yaml_of(*overrides: str) -> str:
    return to_yaml(compose(overrides))


def test_a_config_survives_its_yaml(cwd: Path) -> None:
    config = compose(["model.units=7", "+callbacks=tensorboard", "device=gpu:1"])
    write(cwd / "config.yaml", to_yaml(config))
    again = recompose(read_config(cwd / "config.yaml"), [], changeable=EVALUABLE)
    assert again == config


def test_the_yaml_has_no_interpolations() -> None:
    assert "${" not in to_yaml(compose(["data=blobs", "+callbacks=reduce_lr_on_plateau"]))


@pytest.mark.parametrize("text", ["a: [1\n", "- 1\n", "", "\x00"], ids=repr)
def test_the_error_of_a_damaged_record_names_its_path(cwd: Path, text: str) -> None:
    write(cwd / "config.yaml", text)
    with pytest.raises(DlrunError, match=r"config\.yaml"):
        read_config(cwd / "config.yaml")


def test_a_changed_choice_replaces_the_whole_part() -> None:
    record = record_of("data.limit=50", "backend=jax")
    config = recompose(record, ["data=blobs", "backend=torch"], changeable=EVALUABLE)
    assert config.data == compose(["data=blobs"]).data
    assert config.backend == compose(["backend=torch"]).backend
    assert (config.choices["data"], config.choices["backend"]) == ("blobs", "torch")


def test_metrics_are_added_to_those_of_a_run_or_replace_them() -> None:
    def metrics(*overrides: str) -> list[str]:
        config = recompose(record_of("+metrics=auc"), overrides, changeable=EVALUABLE)
        return list(config.task.metrics)

    assert metrics() == ["accuracy", "auc"]
    assert metrics("+metrics=[recall,precision]") == ["accuracy", "auc", "recall", "precision"]
    assert metrics("metrics=recall", "task.metrics.recall.class_id=3") == ["recall"]
    assert metrics("~task.metrics.auc") == ["accuracy"]
    with pytest.raises(DlrunError, match="loss=kl_divergence: can't change here"):
        metrics("loss=kl_divergence")


def test_what_is_not_changed_stays_as_recorded() -> None:
    record = record_of("model.units=7", "data.limit=50", "name=first")
    config = recompose(record, ["batch_size=7", "device=gpu:1"], changeable=EVALUABLE)
    assert (config.model["units"], config.data["limit"], config.name) == (7, 50, "first")
    assert (config.batch_size, str(config.device)) == (7, "gpu:1")


def test_only_some_keys_can_change() -> None:
    with pytest.raises(DlrunError) as caught:
        recompose(record_of(), ["epochs=3", "batch_size=x", "backend=trch"], changeable=EVALUABLE)
    first, *lines = caught.value.message.splitlines()
    assert first == "3 mistakes in the config"
    assert [line.split()[0] for line in lines] == ["epochs=3", "backend=trch", "batch_size=x"]
    assert "backend=torch" in str(caught.value.hint)
    assert "task.metrics" in str(caught.value.hint)


@pytest.mark.parametrize("override", ["model=mnist_mlp", "model.units=3", "task.monitor=loss"])
def test_keys_that_determine_the_arrays_can_not_change(override: str) -> None:
    with pytest.raises(DlrunError, match="can't change here"):
        recompose(record_of(), [override], changeable=EVALUABLE)


@pytest.mark.parametrize("override", ["batch_size=0", "precision=mixed_float", "data.limt=3"])
def test_a_change_is_checked_like_a_new_config(override: str) -> None:
    with pytest.raises(DlrunError) as caught:
        recompose(record_of(), [override], changeable=EVALUABLE)
    assert override in caught.value.message


@pytest.mark.parametrize("override", ["backend=null", "data=null", "~data", "data=[mnist,blobs]"])
def test_a_part_can_be_replaced_but_not_removed(override: str) -> None:
    with pytest.raises(DlrunError) as caught:
        recompose(record_of(), [override], changeable=EVALUABLE)
    assert override in caught.value.message


def test_a_removed_key_that_may_be_null_is_null() -> None:
    words = ("experiment=first_network", "task.class_weight=balanced", "device.index=1")
    assert compose([*words, "~task.class_weight"]).task.class_weight is None
    assert compose([*words, "~device.index"]).device.index is None
    assert compose([*words, "~epochs", "max_steps=7"]).epochs is None
    assert compose([*words, "~reproduces"]).reproduces is None


@pytest.mark.parametrize("task", ["binary_classification", "classification", "regression"])
@pytest.mark.parametrize("override", ["task.metrics=null", "~task.metrics", "metrics=[]"])
def test_a_task_may_have_no_metrics(task, override):
    words = (f"task={task}", "task.class_weight=null", override)
    assert not compose(words).task.metrics


def test_a_removed_argument_is_no_longer_passed() -> None:
    optimizer = compose(["~optimizer.weight_decay", "~optimizer.beta_1=0.9"]).optimizer
    assert not {"weight_decay", "beta_1"} & optimizer.keys()


def test_a_run_keeps_what_it_needs() -> None:
    with pytest.raises(DlrunError, match="'batch_size' can't be removed"):
        recompose(record_of(), ["~batch_size"], changeable=EVALUABLE)


def test_evaluation_needs_no_validation_split() -> None:
    config = recompose(record_of(), ["data.validation_samples=0"], changeable=EVALUABLE)
    assert config.data["validation_samples"] == 0


def test_a_recorded_config_can_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLRUN_TEST_SECRET", "hunter2")
    record = record_of()
    record["runs_dir"] = "${oc.env:DLRUN_TEST_SECRET}"
    record["model"] = {
        "_target_": "dlrun.models.mnist_mlp.mnist_mlp",
        "units": "${oc.env:DLRUN_TEST_SECRET}",
    }
    try:
        output = repr(recompose(record, [], changeable=EVALUABLE))
    except DlrunError as error:
        output = f"{error.message} {error.hint}"
    assert "hunter2" not in output


@pytest.mark.parametrize(
    ("key", "value"), [("epochs", "x"), ("intruder", 1), ("model", None), ("data", "mnist")]
)
def test_the_error_of_an_invalid_record_names_the_key(key: str, value: object) -> None:
    with pytest.raises(DlrunError, match=key):
        recompose(record_of() | {key: value}, [], changeable=EVALUABLE)


def test_an_edited_module_is_read_again_in_the_same_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, argument in (("one", "units"), ("other", "width"), ("other", "depth")):
        directory = tmp_path / place
        (directory / "configs/model").mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(directory)
        source = f"def mine(*, input_shape, num_classes, {argument}=3): ...\n"
        (directory / "edited_models.py").write_text(source, encoding="utf-8")
        option = f"_target_: edited_models.mine\n{argument}: 3\n"
        (directory / "configs/model/mine.yaml").write_text(option, encoding="utf-8")
        assert compose(["model=mine"]).model[argument] == 3


def test_an_override_has_the_type_of_its_option_not_of_the_override_before() -> None:
    words = ["loop=raw", "loop.steps_per_execution=4"]
    assert compose([*words, "loop.steps_per_execution=auto"]).loop["steps_per_execution"] == "auto"
    with pytest.raises(DlrunError, match="expected an integer, got 'many'"):
        compose(["model.units=8", "model.units=many"])


@pytest.mark.parametrize(
    ("loop", "steps"), [("raw", "x"), ("raw", "1.5"), ("fit", "auto"), ("fit", "true")]
)
def test_steps_per_execution_is_a_number_of_steps(loop: str, steps: str) -> None:
    with pytest.raises(DlrunError, match=f"loop.steps_per_execution={steps}: "):
        compose([f"loop={loop}", f"loop.steps_per_execution={steps}"])


def test_max_time_alone_adds_its_callback_and_sets_its_limit() -> None:
    limit = compose(["max_time=8h"]).callbacks["max_time"]
    assert limit["_target_"] == "dlrun.callbacks.max_time.MaxTime"
    assert limit["limit"] == "8h"
    record = asdict(compose(["max_time=8h"]))
    assert recompose(record, ["max_time=16h"], changeable=RESUMABLE).callbacks == {
        **record["callbacks"],
        "max_time": {**limit, "limit": "16h"},
    }
