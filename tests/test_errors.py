"""Messages are bounded, whatever they quote: no value of more than 200 characters is printed."""

import base64
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from dlrun.cli import app
from dlrun.errors import DlrunError, cut_message, first_line, list_names, shorten
from trainings import BACKENDS, Refused, worker

LONG = "x" * 5_000
SPACED = "a b " * 1_000
WORDS = [f"name_{number}" for number in range(3_000)]
LIST = ", ".join(WORDS)


def is_bounded(text: str) -> bool:
    # What a rich panel wraps is one value again without its frame.
    plain = re.sub(r"[\s│╭╮╰╯─]+", "", text)
    longest = max(map(len, text.split("\n")), default=0)
    return (
        "x" * 201 not in plain and "ab" * 101 not in plain and "1500" not in plain
    ) and longest <= 1_500


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("data.path=x.npz: no such file", "data.path=x.npz: no such file"),
        (f"{'y' * 200} is short", f"{'y' * 200} is short"),
        (f"it is {LONG}!", f"it is {'x' * 100}...{'x' * 29}! (5,001 characters)"),
        (f"got '{SPACED}', no", f"got '{SPACED[:100]}...{SPACED[-30:]} (4,000 characters)', no"),
        ("it isn't " + "so " * 90 + "can't", "it isn't " + "so " * 90 + "can't"),
        (f"got [{LIST}]", re.compile(r"got \[name_0, .*, name_\d+ and 2,9\d\d more\]")),
        (f"there are {LIST}", re.compile(r"there are name_0, .* and 2,9\d\d more")),
        ("\n".join(WORDS), re.compile(r"(name_\d+\n){40}\.\.\. 2,960 more lines")),
    ],
)
def test_long_values_and_lists_are_cut_with_a_count(message, expected):
    if isinstance(expected, str):
        assert cut_message(message) == expected
    else:
        assert expected.fullmatch(cut_message(message))
    assert cut_message(cut_message(message)) == cut_message(message)
    assert shorten(message) == message or len(shorten(message)) < 200


def test_a_list_of_any_kind_ends_in_the_number_of_items_left_out():
    for items in (range(10_000), [repr(f"n{i}") for i in range(10_000)], ["a b"] * 10_000):
        text = cut_message(f"it has {', '.join(map(str, items))}")
        kept, _, left = text.removeprefix("it has ").rpartition(" and ")
        assert len(kept) < 400
        assert len(kept.split(", ")) + int(left.removesuffix(" more").replace(",", "")) == 10_000


def test_errors_bound_themselves_and_what_they_quote():
    error = DlrunError(f"{LONG} {LONG}", hint=LONG)
    assert is_bounded(f"{error} {error.message} {error.hint}")
    assert is_bounded(first_line(ValueError(f"\n {LONG}\n{LONG}")))


KERAS = """Exception encountered when calling Boom.call().

\x1b[1m{}
and more\x1b[0m

Arguments received by Boom.call():
  • x=tf.Tensor(shape=(1, 784), dtype=float32)"""
INFER = (
    "Could not automatically infer the output shape / dtype of 'boom' (of type Boom). Either the"
    " `Boom.call()` method is incorrect, or you need to implement the"
    " `Boom.compute_output_spec() / compute_output_shape()` method. Error encountered:\n\n"
)
GRAPH = """Graph execution error:

Detected at node a/GatherV2 defined at (most recent call last):
  File "/home/me/model.py", line 15, in <module>

  File "/usr/lib/python3.11/site-packages/keras/src/layers/layer.py", line 1002, in __call__

indices = 99 is not in [0, 10)
\t [[{{node a/GatherV2}}]] [Op:__inference_multi_step_on_iterator_1350]"""
IN_USER_CODE = """in user code:

    File "/home/me/model.py", line 29, in step  *
        def step(v): return model(v, training=True)
    File "/usr/lib/python3.11/site-packages/keras/src/traceback_utils.py", line 122, in error  **
        raise e.with_traceback(filtered_tb) from None

    """
MATMUL = "{{function_node __wrapped__MatMul_device_/job:localhost}} Matrix size-incompatible: [1,2]"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError(KERAS.format("my own reason")), "my own reason"),
        (ValueError(KERAS.format(f"{INFER}my own reason")), "my own reason"),
        (KeyError(KERAS.format("gone")), "gone"),
        (RuntimeError(KERAS.format(f"{MATMUL} [Op:MatMul] name: ")), MATMUL.partition("}} ")[2]),
        (RuntimeError(GRAPH), "indices = 99 is not in [0, 10)"),
        (ValueError(f"{IN_USER_CODE}ValueError: no such axis"), "no such axis"),
        (KeyError(f"{IN_USER_CODE}KeyError: {KERAS.format('gone')!r}"), "gone"),
        (KeyError("loss"), "loss"),
        (ValueError("\n  a: b\n  c"), "a: b"),
        (
            ValueError("Exception encountered when calling Boom.call().\n\n"),
            KERAS.split("\n", maxsplit=1)[0],
        ),
        (
            TypeError(
                'in user code:\n\n    File "a.py", line 3, in serve\n        f()\n\n'
                "    TypeError: Exception encountered when calling Net.call().\n    \n"
                "    \x1b[1mno such thing\x1b[0m\n    \n    Arguments received by Net.call():\n"
            ),
            "no such thing",
        ),
        (ValueError(), "ValueError"),
    ],
)
def test_the_line_of_an_error_is_its_cause(error, cause):
    assert first_line(error) == cause


ARGUMENTS = {
    "a name": ["train", f"name={LONG} y"],
    "a seed": ["train", f"seed={LONG}"],
    "a key": ["train", f"{LONG}=1"],
    "an option": ["train", f"model={LONG}"],
    "a list": ["train", f"epochs=[{','.join(WORDS)}]"],
    "a mapping": ["train", f"model.units={{a:[{','.join(WORDS)}]}}"],
    "a text": ["train", f"model.units='{SPACED}'"],
    "a sweep": ["train", f"model.units={','.join(WORDS)}"],
    "a target": ["train", f"model._target_=my.{LONG}"],
    "not an override": ["train", LONG],
    "a grammar": ["train", f"name={LONG}!("],
    "a precision": ["train", f"precision={LONG}"],
    "a monitor": ["train", f"task.monitor={LONG}"],
    "many mistakes": ["train", *(f"{word}=1" for word in WORDS[:99])],
    "a backend": ["train", f"backend.name={LONG}"],
    "an interpolation": ["train", f"name=${{oc.env:{LONG}}}"],
    "a run": ["evaluate", LONG],
    "a folder": ["runs", LONG],
    "a condition": ["runs", "--where", LONG],
    "a checkpoint": ["evaluate", "latest", "--checkpoint", LONG],
    "a split": ["evaluate", "latest", "--split", LONG],
    "trust": ["train", "--trust", f"{LONG}!"],
    "a config directory": ["train", "--config-dir", LONG],
    "a number": ["sweep", "seed=1,2", "--jobs", LONG],
    "a command": [LONG],
    "an unknown option": ["train", f"--{LONG}"],
    "a group": ["list", LONG],
    "a launcher": ["sweep", "seed=1,2", "--launcher", LONG],
    "a sampler": ["sweep", "seed=1,2", "--search", LONG],
    "a storage": [
        "sweep",
        "seed=range(1,4)",
        "--search",
        "optuna",
        "--storage",
        f"sqlite:///{LONG}",
    ],
    "a sweep directory": ["sweep", "--resume", LONG],
    "a path of a run": ["resume", f"runs/{LONG}"],
    "two runs": ["compare", LONG, LONG],
    "initial weights": ["train", f"init_from={LONG}"],
    "a file": ["data", "data=csv", f"data.path={LONG}"],
    "a folder of images": ["data", "data=image_folder", f"data.path={LONG}"],
    "a folder of texts": ["data", "data=text_folder", f"data.path={LONG}"],
    "an array": ["data", "data=npy", f"data.path={LONG}.npy", "data.labels=y.npy"],
    "a picture": ["summary", "--plot", f"{LONG}.png"],
    "a table": ["reproduce", "first_network", "--output", LONG],
    "an option to save": ["data", "data=blobs", "--save", f"{LONG}.yaml"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_whatever_is_typed_is_cut_in_the_error(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ARGUMENTS[name])
    assert isinstance(done.exception, SystemExit), done.exception  # and no traceback
    assert done.exit_code in (1, 2)
    assert is_bounded(done.output), done.output[:3_000]


MODULE = f"""
import base64, keras

def fails(input_shape, num_classes):
    raise ValueError("config: " + base64.b64encode(bytes(200_000)).decode())

def layer_fails(input_shape, num_classes):
    class Layer(keras.layers.Layer):
        def build(self, shape):
            raise ValueError("of " + str(list(range(100_000))))
    return keras.Sequential([keras.Input(input_shape), Layer()])

def no_model(input_shape, num_classes):
    return type({LONG!r}, (), {{}})()
"""


@pytest.mark.parametrize("backend", BACKENDS[:1])
def test_what_a_component_raises_is_cut_too(tmp_path, backend):
    (tmp_path / "my_long.py").write_text(MODULE)
    for name in ("fails", "layer_fails", "no_model"):
        with pytest.raises(Refused) as caught:
            target = f"model._target_=my_long.{name}"
            worker(backend).train(tmp_path, target, "~model.units", "data.limit=100")
        assert is_bounded(caught.value.message)
        assert base64.b64encode(bytes(160)).decode() not in caught.value.message
    values = np.zeros((3, 5))
    np.savez(tmp_path / "x.npz", **dict.fromkeys(WORDS, values))
    with pytest.raises(Refused) as caught:
        worker(backend).train(
            tmp_path,
            "data=npz",
            "data.path=x.npz",
            "data.num_classes=2",
            "data.validation_samples=1",
        )
    assert is_bounded(caught.value.message)
    assert "more" in caught.value.message


@pytest.mark.trains
def test_what_a_layer_refuses_is_one_line(tmp_path):
    found = worker("torch").run(
        tmp_path,
        """
import keras
from dlrun.errors import DlrunError
class Refuses(keras.layers.Layer):
    def call(self, inputs):
        raise DlrunError("no such layer", hint="another layer")
try:
    Refuses()(keras.ops.zeros((1, 2)))
except DlrunError as error:
    found["said"] = [error.message, error.hint]
""",
    )
    assert found["said"] == ["no such layer", "another layer"]


def test_of_many_names_the_first_are_listed_with_how_many_are_left() -> None:
    assert list_names(["a", "b"], 2) == "a, b"
    assert list_names(["a", "b", "c"], 2) == "a, b and 1 more"
    assert list_names([], 2) == ""
