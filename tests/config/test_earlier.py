"""The config of an earlier run with changes, where options, keys or dlrun have changed since."""

from dataclasses import asdict

import pytest

from dlrun.config.compose import compose
from dlrun.config.earlier import compose_earlier
from dlrun.errors import DlrunError

BEFORE = ["model.units=16", "optimizer.learning_rate=0.01", "+callbacks=plots"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def recorded(*overrides):
    return asdict(compose(overrides))


def test_an_earlier_run_with_changes_is_what_typing_both_gives():
    changes = ["optimizer.learning_rate=3e-4", "task.monitor=val_accuracy", "+callbacks=batch_log"]
    earlier = compose_earlier(recorded(*BEFORE), BEFORE, changes)
    assert earlier.overrides == ["model.units=16", "+callbacks=plots", *changes]
    typed = asdict(compose(earlier.overrides))
    # What depends on a changed value follows it, as callbacks.checkpoint.monitor does.
    assert typed["callbacks"]["checkpoint"]["monitor"] == "val_accuracy"
    assert asdict(earlier.config) == typed
    assert (earlier.gone, earlier.added) == ([], [])


@pytest.mark.parametrize(
    ("before", "change"), [("epochs=3", "max_steps=5"), ("max_steps=5", "epochs=3")]
)
def test_a_length_in_steps_takes_the_place_of_one_in_epochs(before, change):
    earlier = compose_earlier(recorded(before), [before], [change])
    assert earlier.overrides == [change]
    assert asdict(earlier.config) == recorded(change)
    both = compose_earlier(recorded(before), [before], ["epochs=7", "max_steps=9"])
    assert both.overrides == ["epochs=7", "max_steps=9"]


def test_a_chosen_option_replaces_the_part_and_what_was_typed_of_it():
    earlier = compose_earlier(recorded(*BEFORE), BEFORE, ["optimizer=sgd"])
    assert earlier.overrides == ["model.units=16", "+callbacks=plots", "optimizer=sgd"]
    assert earlier.config.optimizer == compose(["optimizer=sgd"]).optimizer
    assert earlier.config.model["units"] == 16


def test_values_of_the_run_hold_where_an_option_has_changed_since():
    config = recorded(*BEFORE)
    config["callbacks"]["early_stopping"]["patience"] = 9  # of the option as it was
    config["optimizer"]["beta_1"] = 0.8
    earlier = compose_earlier(config, BEFORE, ["seed=1"]).config
    assert earlier.callbacks["early_stopping"]["patience"] == 9
    assert (earlier.optimizer["beta_1"], earlier.seed) == (0.8, 1)
    other = compose_earlier(config, BEFORE, ["optimizer=rmsprop"]).config
    assert "beta_1" not in other.optimizer


def test_what_no_longer_exists_is_reported_and_left_out():
    config = recorded(*BEFORE)
    config |= {"loops": {"jit": True}}
    config["model"]["width"] = 3
    config["task"]["smoothing"] = 0.1
    del config["matmul_precision"]
    earlier = compose_earlier(config, [*BEFORE, "loops.jit=true"], ["seed=1"])
    gone = "\n".join(earlier.gone)
    assert "loops.jit=true: 'loops.jit' is not a config key; left out" in gone
    assert "model.width=3: dlrun.models.mnist_mlp.mnist_mlp takes no 'width'" in gone
    assert "task.smoothing=0.1: no such key; left out" in gone
    assert earlier.added == ["matmul_precision"]
    assert asdict(earlier.config) == asdict(compose([*BEFORE, "seed=1"]))


def test_an_option_that_no_longer_exists_is_refused_until_another_is_chosen():
    config, before = recorded(), ["model=old_net", "seed=3"]
    with pytest.raises(DlrunError, match="the earlier run has model=old_net: no such option"):
        compose_earlier(config, before, ["epochs=2"])
    chosen = compose_earlier(config, before, ["model=mnist_mlp"])
    assert chosen.overrides == ["seed=3", "model=mnist_mlp"]


def test_what_a_copied_run_names_is_not_trusted_and_what_is_typed_is(tmp_path):
    (tmp_path / "mine.py").write_text("def net(input_shape, num_classes, units=3): ...\n")
    with pytest.raises(DlrunError, match="not trusted"):
        compose_earlier(recorded(), ["model._target_=mine.net"], ["seed=1"])
    config = recorded()
    config["model"]["_target_"] = "mine.net"
    with pytest.raises(DlrunError, match="not trusted"):
        compose_earlier(config, [], [])
    typed = compose_earlier(recorded(), [], ["model._target_=mine.net"])
    assert typed.config.model["_target_"] == "mine.net"
