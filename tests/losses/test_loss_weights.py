"""task.loss_weights: what each output's loss counts in their sum."""

import pytest

from trainings import BACKENDS, Refused, worker

TICKETS = (
    "model=ticket_classifier",
    "data.vocabulary_size=50",
    "epochs=1",
    "data.train_samples=70",
)


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backend", "loop"),
    [
        ("jax", "raw"),
        ("tensorflow", "fit"),
        ("torch", "train_step"),
        *(
            pytest.param(backend, loop, marks=pytest.mark.slow)
            for backend in BACKENDS
            for loop in ("fit", "raw")
        ),
    ],
)
def test_the_sum_is_weighted_and_each_loss_is_logged_as_it_is(tmp_path, backend, loop):
    typed = (f"loop={loop}", "+task.loss_weights.priority=10", "batch_size=32")
    result = worker(backend).train(tmp_path, *TICKETS, *typed)
    for split in ("train", "validation", "test"):
        of = result[split]
        expected = 10 * of["priority_loss"] + of["department_loss"]
        assert of["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.trains
def test_a_loss_of_no_weight_stays_where_it_began(tmp_path):
    typed = (*TICKETS, "epochs=5")
    off = worker("torch").train(tmp_path, *typed, "+task.loss_weights.priority=0")
    on = worker("torch").train(tmp_path, *typed, "+task.loss_weights.department=0")
    assert on["train"]["priority_loss"] < off["train"]["priority_loss"]
    assert off["train"]["department_loss"] < on["train"]["department_loss"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("task.loss_weights={price: 2}", "no output 'price' in task.loss"),
        ("task.loss_weights={priority: -1}", "expected a number from 0"),
        ("task.loss_weights={priority: 0, department: 0}", "has no weight above 0"),
        ("task.loss_weights=2", "must be a mapping by output"),
    ],
)
def test_wrong_weights_are_refused(tmp_path, typed, words):
    with pytest.raises(Refused, match=words):
        worker("jax").train(tmp_path, *TICKETS, typed)
    with pytest.raises(Refused, match="the task has one"):
        worker("jax").train(tmp_path, "task.loss_weights={a: 2}")
