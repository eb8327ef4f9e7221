"""Child processes: nothing shadows the standard library, and a failure is told in words."""

import sys

import pytest

from dlrun.system.child import how_ended, python_command

MODEL = """
import keras

def mine(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(keras.layers.Flatten()(inputs)))
"""
EXPERIMENT = """# @package _global_
# A custom model.
#   dlrun train experiment=claim
defaults:
  - override /model: mine

smoke: true
reproduces:
  system: S0
  prints: accuracy 0
  metric: test.accuracy
  least: 0
  loops: [fit]
"""
TINY = ("model=mine", "data.limit=256", "epochs=2")
COMMANDS = [
    ("sweep", *TINY, "seed=1,2", "--jobs", "1"),
    ("sweep", *TINY, "seed=1,2", "--jobs", "2", "--launcher", "joblib"),
    ("verify-resume", *TINY, "batch_size=16", "--kills", "1"),
    ("reproduce", "claim", "--backend", "jax"),
    ("parity", *TINY, "--loops", "--steps", "2"),
    ("train", *TINY, "tracker=tensorboard"),
    ("doctor",),
]


def test_the_command_keeps_the_working_directory_off_the_path():
    command = [sys.executable, "-P", "-m", "dlrun.workers.host", "0,1"]
    assert python_command("dlrun.workers.host", "0,1") == command


FAST = ("sweep",)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            words,
            id=f"{words[0]} {words[-1]}",
            marks=pytest.mark.slow if "joblib" in words[-1] or words[0] not in FAST else (),
        )
        for words in COMMANDS
    ],
)
@pytest.mark.trains
def test_user_files_shadow_no_module_and_user_modules_are_found(dlrun, words):
    for name in ("csv", "queue"):
        (dlrun.cwd / f"{name}.py").write_text("raise SystemExit('hidden')\n")
    (dlrun.cwd / "my_models.py").write_text(MODEL)
    options = {"model/mine": "_target_: my_models.mine\n", "experiment/claim": EXPERIMENT}
    for name, text in options.items():
        path = dlrun.cwd / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    result = dlrun.json(*words)
    if words[0] == "sweep":
        assert [run["status"] for run in result["runs"]] == ["completed"] * 2
    if words[0] == "train":
        assert list((dlrun.cwd / "runs").rglob("events.out.tfevents.*"))
    if words[0] == "doctor":
        assert {found["status"] for found in result["backends"].values()} == {"ok"}


@pytest.mark.parametrize(
    ("code", "errors", "why"),
    [
        (2, "noise\nerror: model=x: no such option\n\nhint: y\n", "model=x: no such option"),
        (1, "Traceback\nKeyError: 'x'\n", "its process ended with exit code 1: KeyError: 'x'"),
        (3, "", "its process ended with exit code 3"),
        (-9, "noise", "its process was killed by SIGKILL, perhaps out of memory"),
        (-15, "", "its process was killed by SIGTERM"),
    ],
)
def test_how_a_process_ended_is_told_in_words(code, errors, why):
    assert how_ended(code, errors) == why
