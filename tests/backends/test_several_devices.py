"""A run on several devices has the numbers of one."""

from contextlib import closing
from functools import cache

import numpy as np
import pytest

from conftest import FEW_OPTIMIZATIONS, slow
from dlrun.assembly.require import require
from dlrun.backends import Spread, _jax_devices
from dlrun.config.compose import compose
from dlrun.errors import DlrunError
from dlrun.system.process import cores
from dlrun.system.ranks import start_ranks
from spreads import RUN, assert_same_rows, assert_same_run, write_net
from trainings import Refused, Worker, worker

COUNTER = """
import keras

class Count(keras.layers.Layer):
    def build(self, shape):
        self.seen = self.add_weight(name="seen", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.seen.assign(self.seen + 1)
        return inputs

def counter(input_shape, num_classes):
    layers = [keras.layers.Flatten(), Count(name="count"), keras.layers.Dense(num_classes)]
    return keras.Sequential([keras.Input(input_shape), *layers], name="counter")
"""
# 130 samples in batches of 50: 50, 50 and 30, none of which 4 devices can share evenly.
TRAIN = (*RUN, "data.limit=130")
SPREAD = ("distribution=data_parallel", "device.count=4")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("devices"))


@pytest.fixture(scope="module")
def devices(place):
    """A process of jax whose CPU is split in four."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "4")
        patch.setenv("NPROC", "10")
        patch.setenv("XLA_FLAGS", FEW_OPTIMIZATIONS)
        worker = Worker("jax")
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def trained(devices, place):
    @cache
    def train(*more):
        return devices.train(place, *TRAIN, *more)

    return train


@pytest.mark.trains
@pytest.mark.parametrize("loop", ["fit", slow("raw"), slow("train_step")])
def test_four_devices_have_the_numbers_of_one(trained, loop):
    one, four = trained(), trained(f"loop={loop}", *SPREAD)
    assert_same_run(four, one)
    line = "spread data_parallel on cpu:0 to cpu:3, batches of 50, 12 or 13 for each device"
    assert line in four["log"] and "spread" not in one["log"]


@pytest.mark.trains
def test_one_device_computes_what_a_run_without_a_distribution_does(trained):
    one, alone = trained(), trained("distribution=data_parallel", "device.count=1")
    assert_same_run(alone, one)
    assert alone["test"] == one["test"]
    environments = [_jax_devices.environment(Spread("data_parallel", n)) for n in (1, 2)]
    assert [bool(variables) for variables in environments] == [False, True]


@pytest.mark.trains
def test_a_run_goes_on_evaluates_and_predicts_on_another_number_of_devices(devices, trained, place):
    one, four = trained(), trained("loop=fit", *SPREAD)
    longer = devices.train(place, *TRAIN, "epochs=3")
    resumed = devices.resume(place, four["path"], "epochs=3", "distribution=none", "device.count=1")
    assert_same_rows(resumed["rows"], longer["rows"])
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


@pytest.mark.trains
def test_a_model_in_parts_has_the_numbers_of_a_whole_one(devices, trained, place):
    parted = trained("loop=raw", "distribution=model_parallel", "device.count=4", "epochs=1")
    assert_same_rows(parted["rows"], trained()["rows"][:1])
    assert "50 for each copy of the model, in 4 parts" in parted["log"]


@pytest.mark.trains
def test_a_model_in_parts_takes_a_quarter_of_the_memory_of_each_device(devices, place):
    found = devices.run(
        place,
        """
import jax, keras, numpy as np
from dlrun.backends import Spread, _jax_devices
_jax_devices.spread_over(
    Spread("model_parallel", 4, {"big.*kernel": [None, "model"]}), [f"cpu:{n}" for n in range(4)]
)
def on_each():
    sizes = dict.fromkeys(jax.devices(), 0)
    for array in jax.live_arrays():
        for device in array.devices():
            sizes[device] += np.prod(array.sharding.shard_shape(array.shape)) * array.dtype.itemsize
    return list(sizes.values())
before = on_each()
model = keras.Sequential([keras.Input((256,)), keras.layers.Dense(1024, name="big")])
model.compile("adam", "mse")
model.fit(np.ones((8, 256)), np.ones((8, 1024)), verbose=0)
loaded = np.random.rand(256, 1024).astype("f")
model.layers[0].kernel.assign(loaded)
slots = [v for v in model.optimizer.variables if v.shape == (256, 1024)]
arrays = 3 * 256 * 1024 * 4
found["shares"] = [float(now - b) / arrays for now, b in zip(on_each(), before)]
found["slots"] = [list(v.value.sharding.spec) for v in slots]
found["same"] = bool((np.asarray(model.layers[0].kernel.value) == loaded).all())
""",
    )
    assert found["same"] and found["slots"] == [[None, "model"]] * 2
    assert all(0.24 < share < 0.35 for share in found["shares"]), found


def test_summary_shows_the_layout_and_refuses_one_that_fits_nothing(devices, place):
    spread = ("distribution=model_parallel", "device=cpu", "device.count=2")
    code, out, errors = devices.command(
        place, ["summary", *spread, "distribution.layout.hidden.*kernel=[null,model]"]
    )
    assert code == 0, errors
    assert "mnist_mlp/hidden/kernel  (784, 512)  -, model  1,605,632  802,816" in out
    assert "model_parallel x2, layout {hidden.*kernel:[null,model]}: 825,384 bytes on each" in out
    for layout, said in (
        ("distribution.layout.conv=[model]", "'conv' matches no variable of the model"),
        ("distribution.layout.logits/bias=[null,model]", "has 2 axes, the variable 1"),
        ("distribution.layout.hidden/bias=[device]", "expected a list such as [null,model]"),
    ):
        code, _, errors = devices.command(place, ["summary", *spread, layout])
        assert code == 2 and said in errors
    code, _, errors = devices.command(
        place, ["summary", *spread[:2], "device.count=3", "distribution.layout.hidden=[null,model]"]
    )
    assert code == 2 and "512 can't be divided by 3 devices" in errors
    code, _, errors = devices.command(place, ["summary", *spread[:2], "device.count=3"])
    assert code == 2 and "no weight has an axis that 3 devices divide" in errors


PROCESSES = ("distribution=data_parallel", "device.count=2")


@pytest.fixture(scope="module")
def on_torch(place):
    @cache
    def train(*more):
        return worker("torch").train(place, *TRAIN, *more)

    return train


@pytest.mark.trains
@pytest.mark.parametrize("loop", ["raw", slow("fit"), slow("train_step")])
def test_two_processes_of_torch_have_the_numbers_of_one(on_torch, loop):
    one, two = on_torch("epochs=3"), on_torch(f"loop={loop}", *PROCESSES)
    assert_same_rows(two["rows"], one["rows"][:2])
    assert "spread data_parallel on cpu:0 to cpu:1, batches of 50, 25 for each device" in two["log"]


@pytest.mark.trains
@pytest.mark.parametrize(
    ("loop", "direct"),
    [
        ("raw", "loop.compile=eager"),
        # A callback that may change the model between two steps.
        ("fit", "+callbacks.own._target_=my_told.Own"),
    ],
)
def test_steps_of_two_processes_are_replayed_to_the_bit(place, loop, direct):
    (place / "my_told.py").write_text(
        "import os, keras\n"
        "class Told(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        with open('calls' + os.environ.get('DLRUN_RANK', '0'), 'a') as file:\n"
        "            file.write('.')\n"
        "        return inputs\n"
        "def told(input_shape, num_classes):\n"
        "    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), Told()]\n"
        "    first, last = keras.Input(input_shape), keras.layers.Dense(num_classes)\n"
        "    return keras.Sequential([first, keras.layers.Flatten(), *layers, last], name='told')\n"
        "class Own(keras.callbacks.Callback):\n"
        "    def on_train_batch_end(self, batch, logs=None):\n"
        "        pass\n"
    )
    (place / "configs/model/told.yaml").write_text("_target_: my_told.told\n")
    calls = place / "calls0", place / "calls1"

    def train(*more):
        for file in calls:
            file.unlink(missing_ok=True)
        # 21 batches of 43 samples, in parts of 21 and 22, and one of 7.
        sizes = "data=sklearn", "data.name=digits", "data.limit=910", "batch_size=43", "epochs=2"
        run = worker("torch").train(
            place, "model=told", f"loop={loop}", "device=cpu", *sizes, *PROCESSES, *more
        )
        rows = [{k: v for k, v in row.items() if "second" not in k} for row in run["rows"]]
        return rows, run["test"], [len(file.read_text()) for file in calls]

    *replayed, few = train()
    *called, many = train(direct)
    assert replayed == called
    assert all(ours < 0.7 * theirs for ours, theirs in zip(few, many, strict=True)), (few, many)


RANDOM = """
import keras

class Noise(keras.layers.Layer):
    def __init__(self, how):
        super().__init__()
        self.how, self.generator = how, None
        if keras.backend.backend() == "torch":
            import torch
            self.generator = torch.Generator() if how == "generator" else None
        elif how == "generator":
            import tensorflow as tf
            self.generator = tf.random.Generator.from_seed(1)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        if keras.backend.backend() == "torch":
            import torch
            return inputs + torch.randn(inputs.shape, generator=self.generator)
        import tensorflow as tf
        if self.how == "mapped":
            return tf.map_fn(lambda row: row + tf.random.normal(tf.shape(row)), inputs)
        draw = self.generator.normal if self.generator else tf.random.normal
        return inputs + draw(tf.shape(inputs))

def net(input_shape, num_classes, how):
    first = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dropout(0.1)]
    return keras.Sequential([*first, Noise(how), keras.layers.Dense(num_classes)])
"""


@pytest.mark.trains
@pytest.mark.parametrize("backend", ["torch", slow("tensorflow")])
def test_a_layer_that_draws_numbers_of_the_framework_is_refused(place, backend):
    (place / "my_random.py").write_text(RANDOM)
    (place / "configs/model/random.yaml").write_text("_target_: my_random.net\n")
    words = "model=random", "data=sklearn", "data.name=digits", "data.limit=100", *PROCESSES
    with closing(Worker(backend)) as process:  # of its own, which has computed on no device before
        for how in ("function", "generator", "mapped"):
            with pytest.raises(Refused, match=r"draws random numbers of (torch|TensorFlow)'s own"):
                process.train(place, *words, "epochs=1", "device=cpu", f"+model.how={how}")


@pytest.mark.trains
def test_parts_of_a_torch_module_that_span_a_batch_are_refused(place):
    words = "model=torch_module", "data.limit=100", *PROCESSES, "epochs=1", "device=cpu"
    with pytest.raises(Refused, match=r"torch\.nn\.BatchNorm2d of the model"):
        worker("torch").train(place, *words)


@pytest.mark.slow
@pytest.mark.trains
def test_each_process_of_torch_reads_its_own_inputs_unless_a_step_sees_all(place):
    (place / "my_read.py").write_text(
        "import os\n"
        "from my_net import net\n"
        "from dlrun.data.batches import Batches\n"
        "from dlrun.loops.step import Step\n"
        "gather = Batches.gather\n"
        "def watch(batches, indices):\n"
        "    inputs, *others = gather(batches, indices)\n"
        "    with open('read' + os.environ.get('DLRUN_RANK', '0'), 'a') as file:\n"
        "        file.write(f'{inputs.any(-1).sum()} ')\n"
        "    return inputs, *others\n"
        "Batches.gather = watch\n"
        "def feed(batches):\n"
        "    from dlrun.feeds.pydataset import BatchSequence\n"
        "    return BatchSequence(batches, batches.gather)\n"
        "class Own(Step):\n"
        "    def metrics(self, *batch, **weights):\n"
        "        return super().metrics(*batch, **weights)\n"
    )
    (place / "configs/model/read.yaml").write_text("_target_: my_read.net\n")

    def train(*more):
        data = "model=read", "data=sklearn", "data.name=digits", "data.limit=102", "batch_size=51"
        words = "loop=raw", *data, "epochs=1", "device=cpu", *PROCESSES, *more
        run, each = process.train(place, *words), [place / "read0", place / "read1"]
        read = [sum(map(int, file.read_text().split())) for file in each]
        for file in each:
            file.unlink()
        return run, read

    with closing(Worker("torch")) as process:  # of its own, where gather stays replaced
        one, own = train()
        other, whole = train("loop.step._target_=my_read.Own")
        _, given = train("feed._target_=my_read.feed", "loop=fit")
    assert_same_rows(one["rows"], other["rows"])
    assert whole[0] == whole[1] == sum(own) and abs(own[0] - own[1]) <= 4  # 2 a split
    assert min(given) >= whole[0]  # fit reads a batch twice, and rank 0 the test split


@pytest.mark.slow
@pytest.mark.trains
def test_two_processes_of_torch_resume(on_torch, place):
    resumed = worker("torch").resume(place, on_torch("loop=fit", *PROCESSES)["path"], "epochs=3")
    assert_same_rows(resumed["rows"], on_torch("epochs=3")["rows"])


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize(
    ("ends", "said", "more"),
    [
        ("os._exit(3)", "its process ended with exit code 3", ""),
        (
            "time.sleep(600)",
            "no answer within 3 s (distribution.timeout)",
            ", with a longer distribution.timeout if it only took long",
        ),
    ],
)
def test_a_process_that_fails_or_hangs_is_named(place, ends, said, more):
    (place / "my_callbacks.py").write_text(
        "import os, time, keras\n"
        "class Ends(keras.callbacks.Callback):\n"
        "    def on_train_batch_begin(self, batch, logs=None):\n"
        "        if 'DLRUN_RANK' in os.environ:\n"
        f"            {ends}\n"
    )
    more_words = "+callbacks.ends._target_=my_callbacks.Ends", "distribution.timeout=3"
    with pytest.raises(Refused) as refused:
        worker("torch").train(place, *TRAIN, *PROCESSES, *more_words)
    assert refused.value.message.startswith("rank 1 on ")
    assert said in refused.value.message
    assert refused.value.exit_code == 1
    assert "no checkpoint yet; resume with: dlrun resume runs/" in refused.value.hint
    assert refused.value.hint.endswith(more)


@pytest.fixture(scope="module")
def on_tensorflow(place):
    """A process whose CPU is split in four by its first run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", FEW_OPTIMIZATIONS)
        split = Worker("tensorflow")

    @cache
    def train(*more):
        return split.train(place, *TRAIN, *more)

    train("loop=fit", *SPREAD)
    yield train
    split.close()


@pytest.mark.trains
@pytest.mark.parametrize("loop", ["fit", slow("raw"), slow("train_step")])
def test_four_parts_of_tensorflow_have_the_numbers_of_one(on_tensorflow, loop):
    four, one = on_tensorflow(f"loop={loop}", *SPREAD), on_tensorflow()
    assert_same_run(four, one)
    line = "spread data_parallel on cpu:0 to cpu:3, batches of 50, 12 or 13 for each device"
    assert line in four["log"] and "spread" not in one["log"]


@pytest.mark.trains
@pytest.mark.slow
def test_parts_of_tensorflow_take_a_last_batch_of_one_and_refuse_what_spans_a_batch(
    on_tensorflow, place
):
    one, four = on_tensorflow("batch_size=43"), on_tensorflow("batch_size=43", "loop=fit", *SPREAD)
    assert_same_rows(four["rows"], one["rows"])  # 43, 43, 43 and 1
    with pytest.raises(Refused, match="augmentation computes on one device on backend 'tensor"):
        on_tensorflow(*SPREAD, "+augmentation=flip")
    (place / "my_counter.py").write_text(COUNTER)
    (place / "configs" / "model" / "counter.yaml").write_text("_target_: my_counter.counter\n")
    with pytest.raises(Refused, match=r"a layer that changes counter/count/seen in its call"):
        on_tensorflow("model=counter", *SPREAD)


RECURRENT = """
import keras

def recurrent(input_shape, num_classes):
    layers = [keras.layers.Dense(8), keras.layers.Reshape((2, 4))]
    own = keras.layers.GRU(4, dropout=0.3, recurrent_dropout=0.3)
    last = keras.layers.Dense(num_classes)
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), *layers, own, last])
"""


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("batch_size", [48, 50])  # in equal parts, and in others
def test_each_part_of_tensorflow_keeps_the_dropout_of_its_own_samples(
    on_tensorflow, place, batch_size
):
    (place / "my_recurrent.py").write_text(RECURRENT)
    (place / "configs" / "model" / "recurrent.yaml").write_text(
        "_target_: my_recurrent.recurrent\n"
    )
    words = "model=recurrent", f"batch_size={batch_size}", "epochs=1", "loop=fit"
    one, four = on_tensorflow(*words, "loop.jit_compile=false"), on_tensorflow(*words, *SPREAD)
    assert_same_rows(four["rows"], one["rows"])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["device.count=2"], "device.count=2: 2 devices need a distribution"),
        (["batch_size=3", *SPREAD], "batch_size=3: must be at least 4, a sample for each"),
        (["device=cpu:1", *SPREAD], "names one device, but device.count=4"),
        (
            ["distribution=model_parallel", "device.count=4", "distribution.replicas=4"],
            "distribution.replicas=4: puts a whole copy of the model on each of device.count=4",
        ),
        (
            ["backend=tensorflow", "distribution=model_parallel", "device.count=4"],
            "backend 'tensorflow' has data_parallel",
        ),
        (
            ["backend=tensorflow", "loop=raw", "loop.compile=xla", *SPREAD],
            "loop.compile=xla is for a step on one device",
        ),
        (["backend=tensorflow", "loop.jit_compile=true", *SPREAD], "loop.jit_compile=true is for"),
        (
            ["backend=torch", "loop=raw", "loop.compile=graph", *SPREAD],
            "loop.compile=graph is for a step on one device",
        ),
        (
            ["backend=torch", "+augmentation=flip", *SPREAD],
            "augmentation computes on one device on backend 'torch'",
        ),
        (["loop=linear_value_and_grad", *SPREAD], "loop=linear_value_and_grad computes on one"),
        (["device=gpu", *SPREAD], "device.count=4: there are gpu:0, gpu:1"),
    ],
)
def test_what_cannot_be_spread_is_refused_before_a_framework_starts(typed, said, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(DlrunError) as refused:
        require(compose(typed), training=True)
    assert said in str(refused.value.message) and refused.value.exit_code == 2


def test_more_processes_than_a_machine_can_take_are_refused_before_one_starts():
    most = 8 * cores()
    with pytest.raises(DlrunError, match=f"device.count={most + 1}: each device has a process"):
        start_ranks(most + 1, "none:none", {}).__enter__()


def test_variables_of_torchrun_count_only_together(monkeypatch):
    place = dict.fromkeys(("RANK", "LOCAL_RANK"), "1")
    place |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "2")
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    require(compose(["device=cpu"]), training=True)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    with pytest.raises(DlrunError, match=r"device\.count=1: torchrun has started 2 processes"):
        require(compose(["device=cpu"]), training=True)
    for name, value in place.items():
        for wrong in ("", "first"):
            monkeypatch.setenv(name, wrong)
            require(compose(["device=cpu"]), training=True)
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("nodes", "hint"),
    [("1", "srun --ntasks 1 dlrun train ..."), ("2", "srun --ntasks-per-node 1 dlrun launch --n")],
)
def test_a_run_in_each_task_of_srun_is_refused(nodes, hint, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", nodes)
    with pytest.raises(DlrunError, match="srun has started 4 tasks, each of which") as refused:
        require(compose(["device=cpu", *SPREAD]), training=True)
    assert refused.value.hint.startswith(hint)
    require(compose(["device=cpu", *SPREAD]), training=True, launches=True)  # as dlrun launch does
    require(compose(["device=cpu", *SPREAD[:1], "device.count=2"]), training=True)
    require(compose(["device=cpu"]), training=True)
