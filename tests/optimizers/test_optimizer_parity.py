"""The first steps of every optimizer of Keras, on all backends."""

import pytest

from dlrun.config.options import shipped_configs

OPTIONS = sorted(path.stem for path in shipped_configs().glob("optimizer/*.yaml"))
OF_KERAS = [name for name in OPTIONS if not name.startswith(("torch_", "optax_"))]
SEEDS = {"adamw": 1, "lion": 2}  # with 0 a ReLU switches, as the YAML of adamw says, or a sign
TOLERANCES = {"lion": 1e-3}  # signs


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OF_KERAS)
def test_each_optimizer_takes_the_same_steps_on_all_backends(dlrun, optimizer):
    limit = [f"--tolerance={TOLERANCES[optimizer]}"] if optimizer in TOLERANCES else []
    seed = f"seed={SEEDS.get(optimizer, 0)}"
    backends = "--backends=jax,tensorflow,torch"
    result = dlrun.json("parity", f"optimizer={optimizer}", seed, backends, *limit)
    assert result["within"]
    assert result["tolerance"]["steps"] == TOLERANCES.get(optimizer, 1e-5)


@pytest.mark.slow
def test_a_schedule_takes_the_same_steps_on_all_backends(dlrun):
    words = ("schedule=one_cycle", "epochs=1", "data.limit=6400", "optimizer.learning_rate=0.01")
    assert dlrun.json("parity", "optimizer=sgd", *words, "--backends=jax,tensorflow,torch")[
        "within"
    ]
