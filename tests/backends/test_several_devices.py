"""A run on several devices has the numbers of one."""

from functools import cache

import numpy as np
import pytest

from dlrun.assembly.require import require
from dlrun.config.compose import compose
from dlrun.errors import DlrunError
from trainings import Worker

NET = """
import keras

def net(input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(num_classes),
    ], name="net")
"""
# 130 samples in batches of 50: 50, 50 and 30, none of which 4 devices can share evenly.
RUN = (
    "model=net", "data=sklearn", "data.name=digits", "data.limit=130", "batch_size=50", "epochs=2",
    "task.class_weight=balanced", "+optimizer.global_clipnorm=0.5",
    "+optimizer.gradient_accumulation_steps=2", "device=cpu", "+metrics=f1",
)  # fmt: skip
SPREAD = ("distribution=data_parallel", "device.count=4")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("devices")
    (path / "my_net.py").write_text(NET)
    (path / "configs" / "model").mkdir(parents=True)
    (path / "configs" / "model" / "net.yaml").write_text("_target_: my_net.net\n")
    return path


@pytest.fixture(scope="module")
def devices(place):
    """A process of jax whose CPU is split in four."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "4")
        patch.setenv("NPROC", "10")
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        worker = Worker("jax")
    yield worker
    worker.close()


def close_rows(rows, others):
    assert len(rows) == len(others) and rows
    for row, other in zip(rows, others, strict=True):
        for name in row:
            if "seconds" not in name and "per_second" not in name:
                assert row[name] == pytest.approx(other[name], rel=1e-5, abs=1e-6), name


@pytest.fixture(scope="module")
def trained(devices, place):
    @cache
    def train(*more):
        return devices.train(place, *RUN, *more)

    return train


@pytest.mark.trains
@pytest.mark.parametrize("loop", ["fit", "raw", pytest.param("train_step", marks=pytest.mark.slow)])
def test_four_devices_have_the_numbers_of_one(trained, loop):
    one, four = trained(), trained(f"loop={loop}", *SPREAD)
    close_rows(four["rows"], one["rows"])
    assert four["test"] == pytest.approx(one["test"], rel=1e-5)
    line = "spread data_parallel on cpu:0 to cpu:3, batches of 50, 12 or 13 for each device"
    assert line in four["log"] and "spread" not in one["log"]


@pytest.mark.trains
def test_a_run_goes_on_evaluates_and_predicts_on_another_number_of_devices(devices, trained, place):
    one, four = trained(), trained("loop=raw", *SPREAD)
    longer = devices.train(place, *RUN, "epochs=3")
    resumed = devices.resume(place, four["path"], "epochs=3", "distribution=none", "device.count=1")
    close_rows(resumed["rows"], longer["rows"])
    assert "not bit-exact: devices was 4, is 1" in resumed["log"]

    alone, spread = (
        devices.evaluate(place, one["path"], *more)["metrics"]
        for more in ((), ("device=cpu", *SPREAD))
    )
    assert spread == pytest.approx(alone, rel=1e-5)
    outputs = []
    for name, more in (("one.npz", ()), ("four.npz", ("device=cpu", *SPREAD))):
        devices.predict(place, one["path"], place / name, None, "batch_size=7", *more)
        with np.load(place / name) as arrays:
            outputs.append(arrays["probability"])
    assert np.allclose(*outputs, rtol=1e-5, atol=1e-6) and len(outputs[0]) == 130


@pytest.mark.trains
def test_each_device_computes_its_part(devices, place):
    found = devices.run(
        place,
        """
import jax, numpy as np
from dlrun.backends import Spread, _jax_devices
_jax_devices.spread_over(Spread("data_parallel", 4), [f"cpu:{n}" for n in range(4)])
even = _jax_devices.place(np.ones((3, 8, 5)), axis=1)
found["parts"] = sorted(shard.data.shape for shard in even.addressable_shards)
step = jax.jit(lambda x, w: (_jax_devices.divide(x) @ w).sum())
arguments = _jax_devices.place(np.ones((50, 5), "f")), np.ones((5, 2), "f")
text = step.lower(*arguments).compile().as_text()
found["reduces"], found["padded"] = "all-reduce" in text, "[13,5]" in text
""",
    )
    assert found == {"parts": [[3, 2, 5]] * 4, "reduces": True, "padded": True}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["device.count=2"], "device.count=2: 2 devices need a distribution"),
        (["batch_size=3", *SPREAD], "batch_size=3: must be at least device.count=4"),
        (["device=cpu:1", *SPREAD], "names one device, but device.count=4"),
        (["backend=tensorflow", *SPREAD], "backend 'tensorflow' uses one device"),
        (["loop=linear_value_and_grad", *SPREAD], "loop=linear_value_and_grad computes on one"),
        (["device=gpu", *SPREAD], "device.count=4: there are gpu:0, gpu:1"),
    ],
)
def test_what_cannot_be_spread_is_refused_before_a_framework_starts(typed, said, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(DlrunError) as refused:
        require(compose(typed), training=True)
    assert said in str(refused.value.message) and refused.value.exit_code == 2
