"""``dlrun verify-resume`` exits 0 if a killed and resumed run is bit-identical, else 1."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import COMMAND, slow
from dlrun.errors import DlrunError
from dlrun.proofs.killed_process import Moment, kill_at

# 20 steps per epoch.
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
    """The commands of running processes that contain a word."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_text())
        except OSError:  # the process has ended
            continue
    return [command for command in commands if word in command]


@pytest.mark.parametrize("kills", [1, slow(2)])
def test_a_killed_run_is_bit_identical_and_nothing_is_left(dlrun, kills):
    words = (*SHORT, "epochs=3", "callbacks.checkpoint.every_steps=5", "--kills", kills)
    result = dlrun.json("verify-resume", *words)
    assert result.pop("arrays") > 20
    killed = result.pop("killed")
    assert len(killed) == kills
    assert all(where.startswith(("in epoch ", "while epoch ")) for where in killed)
    assert result == {
        "equal": True,
        "backend": "jax",
        "loop": "fit",
        "epochs": 3,
        "differences": [],
        "runs": None,
    }
    assert not list(dlrun.cwd.glob("runs/*"))


def test_differences_are_reported_and_both_runs_are_kept(dlrun):
    """The resumed run trusts a callback that the command names."""
    (dlrun.cwd / "my_noise.py").write_text(NOISE)
    done = dlrun(
        *("verify-resume", *SHORT, "epochs=2", "runs_dir=kept", "--kills", 1),
        "+callbacks.noise._target_=my_noise.Noise",
    )
    assert done.returncode == 1, done.stderr
    assert "model " in done.stdout
    assert "kernel" in done.stdout
    [place] = dlrun.cwd.glob("kept/verify-resume/*")
    assert str(place.relative_to(dlrun.cwd)) in done.stdout
    for name in ("straight", "killed"):
        [run] = place.glob(f"{name}/*/*")
        assert dlrun.record(run)["status"] == "completed"


def test_a_wrong_config_starts_nothing(dlrun):
    done = dlrun.here("verify-resume", "epoch=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'epoch' is not a config key" in done.stderr
    assert not (dlrun.cwd / "runs").exists()


@pytest.mark.parametrize(
    ("signum", "place"),
    [(signal.SIGINT, "straight"), pytest.param(signal.SIGTERM, "killed", marks=pytest.mark.slow)],
)
def test_a_signal_ends_the_child_processes_and_leaves_nothing(dlrun, signum, place):
    last = ["epochs=1000", "~callbacks.early_stopping"] if place == "straight" else ["epochs=2"]
    with subprocess.Popen(
        [COMMAND, "verify-resume", *SHORT, *last], cwd=dlrun.cwd, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not (
            list(dlrun.cwd.glob(f"runs/*/*/{place}/*/*/.lock"))
            and processes(next(dlrun.cwd.glob("runs/verify-resume/*")).name)
        ):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        [proof] = dlrun.cwd.glob("runs/verify-resume/*")
        assert processes(proof.name)
        process.send_signal(signum)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + signum
    assert stderr.splitlines()[-1] == "interrupted; the runs are removed"
    assert not processes(proof.name)
    assert not list(dlrun.cwd.glob("runs/*"))


def test_a_resume_that_fails_before_its_kill_is_reported_as_that(tmp_path):
    """It was told as a run that was too short."""
    program = "import sys; sys.exit('error: no checkpoint can be read')"
    command = [sys.executable, "-c", program, "dlrun", "resume"]
    with pytest.raises(DlrunError, match="'dlrun resume' failed: no checkpoint can be read"):
        kill_at(command, tmp_path, Moment(2, saving=True), 0.0, lambda: None)
