"""A disk that takes no checkpoint: the run fails in one line, and what was saved stays good."""

import subprocess

import pytest

from conftest import COMMAND


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0,
    reason="no namespace of its own for a file system of 7 MB",
)
def test_full_disk_fails_the_run_and_keeps_the_earlier_checkpoint(dlrun):
    place = dlrun.cwd / "small"
    place.mkdir()
    script = (
        f"mount -t tmpfs -o size=7M tmpfs {place};"
        f" $0 train epochs=4 data.limit=1000 runs_dir={place}; echo trained $?;"
        f" $0 evaluate latest --runs-dir {place} --quiet; echo evaluated $?"
    )
    done = dlrun(command=["unshare", "-rm", "bash", "-c", script, COMMAND])
    assert "trained 1" in done.stdout
    assert "error: the checkpoint of epoch 2 can't be written" in done.stderr
    assert "No space left on device" in done.stderr
    assert "evaluated 0" in done.stdout
