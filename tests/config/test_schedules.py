"""Who may set the learning rate, checked before a framework is imported."""

import pytest

from dlrun.config.compose import compose, recompose
from dlrun.config.groups import RESUMABLE
from dlrun.config.schedules import check_resumed_rate
from dlrun.errors import DlrunError

pytestmark = pytest.mark.usefixtures("cwd")

NESTED = (
    "optimizer.learning_rate={_target_:keras.optimizers.schedules.CosineDecay,"
    "initial_learning_rate:0.1,decay_steps:9}"
)


@pytest.mark.parametrize("callback", ["reduce_lr_on_plateau", "learning_rate_scheduler"])
@pytest.mark.parametrize(
    ("schedule", "name"),
    [("schedule=cosine", "schedule=cosine"), (NESTED, "optimizer.learning_rate")],
)
def test_a_callback_that_sets_the_learning_rate_beside_a_schedule(schedule, name, callback) -> None:
    with pytest.raises(DlrunError) as caught:
        compose([schedule, f"+callbacks={callback}"])
    assert f"callbacks.{callback}" in caught.value.message
    assert f"so does {name}" in caught.value.message
    compose([f"+callbacks={callback}"])


def test_a_schedule_beside_a_schedule() -> None:
    with pytest.raises(DlrunError, match="a schedule of its own"):
        compose(["schedule=cosine", NESTED])


def recorded(*overrides: str) -> dict:
    from dataclasses import asdict

    return asdict(compose(overrides))


@pytest.mark.parametrize(
    "override",
    [
        "schedule=constant",
        "schedule=exponential",
        "schedule.end_factor=0.1",
        "optimizer.beta_1=0.8",
    ],
)
def test_a_resumed_run_keeps_its_schedule_and_optimizer(override) -> None:
    with pytest.raises(DlrunError, match="can't change here"):
        recompose(recorded("schedule=cosine"), [override], changeable=RESUMABLE, training=True)


@pytest.mark.parametrize(
    ("before", "override", "message"),
    [
        (["schedule=cosine"], "optimizer.learning_rate=0.01", "follows schedule=cosine"),
        ([NESTED], "optimizer.learning_rate.initial_learning_rate=0.2", "follows a schedule"),
        ([], NESTED, "must stay a number"),
    ],
)
def test_the_rate_of_a_resumed_run_stays_a_schedule_or_a_number(before, override, message) -> None:
    run = recorded(*before)
    config = recompose(run, [override], changeable=RESUMABLE, training=True)
    with pytest.raises(DlrunError, match=message):
        check_resumed_rate(run, config)


def test_a_number_may_replace_a_number() -> None:
    run = recorded()
    changed = ["optimizer.learning_rate=0.01"]
    check_resumed_rate(run, recompose(run, changed, changeable=RESUMABLE, training=True))
    check_resumed_rate(recorded("schedule=cosine"), compose(["schedule=cosine"]))
