"""A run that can't write to its directory fails with one line, loses nothing and can be resumed."""

import shlex
from pathlib import Path

import pytest

from conftest import COMMAND, needs_namespace
from dlrun.checkpoints.format import read_checkpoint
from trainings import Refused, worker

# Damages the run's directory when an epoch begins.
HARM = """
import subprocess
from pathlib import Path
import keras

class Harm(keras.callbacks.Callback):
    def __init__(self, directory, epoch, how):
        super().__init__()
        self.run, self.epoch, self.how = Path(directory), epoch, how

    def on_epoch_begin(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            getattr(self, self.how)()

    def fill(self):
        try:
            with open("small/filler", "wb") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()
        except OSError:
            pass

    def lock(self):
        subprocess.run(["mount", "--bind", self.run, self.run], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.run], check=True)

    def rename(self):
        self.run.rename(self.run.with_name("renamed"))
"""
SHORT = ("epochs=5", "data.limit=1000", "model=mnist_mlp_dropout", "~callbacks.early_stopping")


def harm(epoch: int, how: str) -> list[str]:
    return [
        "+callbacks.harm._target_=my_harm.Harm",
        "+callbacks.harm.directory='{run_dir}'",
        f"+callbacks.harm.epoch={epoch}",
        f"+callbacks.harm.how={how}",
    ]


@pytest.fixture(autouse=True)
def modules(tmp_path):
    (tmp_path / "my_harm.py").write_text(HARM)


def last(run: Path) -> list[bytes]:
    saved = read_checkpoint(run / "checkpoints" / "epoch-0005")
    return [v.value.tobytes() for v in (*saved.model, *saved.optimizer)]


@needs_namespace
def test_a_run_resumes_after_a_full_disk_and_ends_like_an_undisturbed_one(dlrun):
    (dlrun.cwd / "small").mkdir()
    script = f"""
        mount -t tmpfs -o size=7M tmpfs small  # room for one checkpoint
        $0 train runs_dir=small {" ".join(SHORT)}; code=$?
        mkdir -p runs/kept; cp -r small/*/* runs/kept/run; exit $code
    """
    done = dlrun(command=["unshare", "-rm", "bash", "-c", script, COMMAND])
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "checkpoints/epoch-0002: " in error and "No space left on device" in error
    assert "hint: the newest checkpoint is of epoch 1; make " in done.stderr
    assert "Traceback" not in done.stderr
    run = dlrun.cwd / "runs/kept/run"
    assert not [path for path in run.rglob("*") if "partial" in path.name]
    worker("jax").resume(dlrun.cwd, run)
    assert last(run) == last(worker("jax").train(dlrun.cwd, *SHORT)["path"])


@pytest.mark.slow
@needs_namespace
def test_a_run_resumes_after_full_disks_and_ends_like_an_undisturbed_one(dlrun):
    """A disk with room for one checkpoint, one that fills up, a read-only directory."""
    (dlrun.cwd / "small").mkdir()
    resume = "$0 resume $run --trust my_harm --quiet"
    script = f"""
        mount -t tmpfs -o size=7M tmpfs small
        $0 train runs_dir=small {" ".join(SHORT)}; echo checkpoint $?
        run=$(echo small/*/*); ls -A $run/checkpoints $run
        mount -o remount,size=64M small
        {resume} {shlex.join(harm(3, "fill"))}; echo full $?; rm small/filler
        {resume} callbacks.harm.epoch=4 callbacks.harm.how=lock; echo read-only $?
        {resume} ~callbacks.harm; echo locked $?
        umount $run
        touch $run/.metrics.csv.partial-77 $run/checkpoints/.epoch-0004.partial-77
        {resume} ~callbacks.harm; echo done $?; ls -A $run; cp -r small/*/* kept
    """
    done = dlrun(command=["unshare", "-rm", "bash", "-c", script, COMMAND])
    codes = [line for line in done.stdout.splitlines() if line[-2:] in (" 0", " 1")]
    assert codes == ["checkpoint 1", "full 1", "read-only 1", "locked 1", "done 0"], done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    hints = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    for error, words in zip(
        errors,
        (
            ("checkpoints/epoch-0002: ", "No space left on device"),
            ("checkpoints/epoch-0003: ", "No space left on device"),
            ("/metrics.csv: ", "Read-only file system"),
            ("/.lock: ", "Read-only file system"),
        ),
        strict=True,
    ):
        assert error.startswith("error: can't write ")
        assert all(word in error for word in words), error
    for hint, epoch in zip(hints, (1, 2, 3), strict=True):
        assert hint.startswith(f"hint: the newest checkpoint is of epoch {epoch}; make ")
        assert "dlrun resume small/" in hint
    assert "Traceback" not in done.stderr
    assert "partial" not in done.stdout  # neither from a failed write nor from a killed process
    straight = worker("jax").train(dlrun.cwd, *SHORT)
    assert last(dlrun.cwd / "kept") == last(straight["path"])


def test_a_renamed_directory_is_not_recreated_and_resumes_under_its_new_name(tmp_path):
    with pytest.raises(
        Refused, match="is gone: the run's directory was removed or renamed"
    ) as gone:
        worker("jax").train(tmp_path, *SHORT, *harm(3, "rename"))
    assert gone.value.exit_code == 1
    [run] = tmp_path.glob("runs/*/*")
    assert run.name == "renamed"
    resumed = worker("jax").resume(tmp_path, run, "~callbacks.harm")
    assert resumed["epochs"] == 5
    assert last(run) == last(worker("jax").train(tmp_path, *SHORT)["path"])
