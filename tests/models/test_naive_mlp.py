"""The network from scratch: bare variables, trained by plain SGD in the raw loop."""

import re

import pytest

from trainings import worker


@pytest.mark.slow
# On torch too, where gradients add up unless the loop also clears those of bare variables.
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_loss_falls_as_in_the_book(tmp_path, backend):
    log = worker(backend).train(tmp_path, "experiment=from_scratch", "epochs=2")["log"]
    losses = [float(loss) for loss in re.findall(r"batch  \d+/469  loss (\S+)", log)]
    # The book: 2.27 2.22 2.22 2.18, then 2.11 2.05 2.09 2.03.
    assert len(losses) == 8
    assert 2.2 < losses[0] < 2.35
    assert 1.9 < losses[-1] < 2.15


def test_the_naive_network_equals_the_first_network(dlrun):
    result = dlrun.warm(
        "jax", "train", "model=naive_mlp", "loop=raw", "epochs=1", "data.limit=5000"
    )
    assert result["parameters"] == 407_050
    assert result["test"]["accuracy"] > 0.8
    evaluated = dlrun.warm("numpy", "evaluate", "latest", "data.limit=5000")
    assert abs(evaluated["metrics"]["loss"] - result["test"]["loss"]) < 1e-5


def test_fit_clears_the_gradients_of_its_bare_variables_on_torch(tmp_path):
    def losses(loop):
        rows = worker("torch").train(
            tmp_path, "model=naive_mlp", f"loop={loop}", "epochs=2", "data.limit=640"
        )["rows"]
        return [row[name] for row in rows for name in ("loss", "val_loss")]

    assert losses("fit") == losses("raw")
