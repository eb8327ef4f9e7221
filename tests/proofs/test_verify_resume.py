"""The proof as a command: exits 0 where a killed run comes to the same bits, else 1."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import COMMAND

# 20 steps an epoch, of which every fifth is saved.
SHORT = ("data.limit=1280", "batch_size=64", "model=mnist_mlp_dropout", "model.units=32")
NOISE = """
import keras
import numpy as np

class Noise(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        weight = self.model.trainable_variables[0]
        drawn = np.random.default_rng().normal(0, 1e-3, weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + drawn)
"""


def processes(word: str) -> list[str]:
    """The processes whose command names a word, those that have ended left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text())
        except OSError:  # it has ended meanwhile
            continue
    return [command for command in found if word in command]


def test_a_run_that_is_killed_comes_to_the_same_bits_and_leaves_nothing_behind(dlrun):
    result = dlrun.json("verify-resume", *SHORT, "epochs=3", "callbacks.checkpoint.every_steps=5")
    assert result.pop("arrays") > 20
    first, second = result.pop("killed")
    assert all(where.startswith(("in epoch ", "while epoch ")) for where in (first, second))
    assert result == {
        "equal": True,
        "backend": "jax",
        "loop": "fit",
        "epochs": 3,
        "differences": [],
        "runs": None,
    }
    assert not list(dlrun.cwd.glob("runs/*"))


def test_what_can_not_be_exact_is_told_and_both_runs_are_kept(dlrun):
    """A callback that the command itself names needs no trust for the resumed run."""
    (dlrun.cwd / "my_noise.py").write_text(NOISE)
    done = dlrun(
        *("verify-resume", *SHORT, "epochs=2", "--kills", 1),
        "+callbacks.noise._target_=my_noise.Noise",
    )
    assert done.returncode == 1, done.stderr
    assert "model " in done.stdout
    assert "kernel" in done.stdout
    [place] = dlrun.cwd.glob("runs/verify-resume/*")
    assert str(place.relative_to(dlrun.cwd)) in done.stdout
    for name in ("straight", "killed"):
        [run] = place.glob(f"{name}/*/*")
        assert dlrun.record(run)["status"] == "completed"


def test_a_config_that_is_wrong_starts_nothing(dlrun):
    done, imported = dlrun.traced("verify-resume", "epoch=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'epoch' is not a config key" in done.stderr
    assert not {"keras", "jax", "numpy"} & imported
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.parametrize(
    ("signum", "place"), [(signal.SIGINT, "straight"), (signal.SIGTERM, "killed")]
)
def test_a_signal_ends_its_processes_too_and_leaves_nothing_behind(dlrun, signum, place):
    last = ["epochs=1000", "~callbacks.early_stopping"] if place == "straight" else ["epochs=2"]
    with subprocess.Popen(
        [COMMAND, "verify-resume", *SHORT, *last],
        cwd=dlrun.cwd,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ends = time.monotonic() + 120
        while not list(dlrun.cwd.glob(f"runs/*/*/{place}/*/*/.lock")):
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.01)
        [proof] = dlrun.cwd.glob("runs/verify-resume/*")
        assert processes(proof.name)
        process.send_signal(signum)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + signum
    assert stderr.splitlines()[-1] == "interrupted; the runs are removed"
    assert not processes(proof.name)
    assert not list(dlrun.cwd.glob("runs/*"))
