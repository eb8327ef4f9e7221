"""The progress of training, in a pipe and on a terminal."""

import os
import pty
import re
import subprocess

from conftest import COMMAND
from dlrun.callbacks.terminal_bar import TerminalBar

TRAIN = ("train", "smoke=true", "epochs=3", "data.limit=2000", "batch_size=32")
LINE = re.compile(
    r"epoch  (\d)/3  loss \d\.\d{4}  accuracy \d\.\d{4}  val_loss \d\.\d{4}"
    r"  val_accuracy \d\.\d{4}  [\d.]+ s  [\d,]+ examples/s(  best)?"
)


def test_pipe_gets_one_plain_line_per_epoch(dlrun):
    done = dlrun(*TRAIN)
    assert done.returncode == 0
    epochs = [line for line in done.stderr.splitlines() if line.startswith("epoch")]
    assert [LINE.fullmatch(line)[1] for line in epochs] == ["1", "2", "3"]
    assert epochs[0].endswith("best")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stderr)


def test_terminal_gets_a_bar_and_keeps_one_line_per_epoch(dlrun):
    terminal, other_end = pty.openpty()
    try:
        process = subprocess.Popen(
            [COMMAND, *TRAIN],
            cwd=dlrun.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=other_end,
        )
        os.close(other_end)
        written = b""
        while True:
            try:
                read = os.read(terminal, 4096)
            except OSError:  # Linux: the other end is closed
                break
            if not read:
                break
            written += read
        assert process.wait(timeout=60) == 0
    finally:
        os.close(terminal)
    text = written.decode()
    assert re.search(r"epoch  1/3 .*━.*/63", text)  # the bar, of 63 batches
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
    kept = [line for line in plain.splitlines() if LINE.fullmatch(line)]
    assert [LINE.fullmatch(line)[1] for line in kept] == ["1", "2", "3"]


def test_without_the_progress_callback_no_epoch_is_logged(dlrun):
    done = dlrun.within("jax", "train", "smoke=true", "~callbacks.progress")
    assert done.returncode == 0
    assert "epoch  1/1" not in done.stderr
    assert "epoch 1 of 1" in done.stdout


def test_a_narrow_terminal_cuts_the_figures_not_the_number_of_the_epoch(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("TERM", "xterm")
    bar = TerminalBar("epoch  12/200", 1500)
    bar.update(700, "loss 0.6384  accuracy 0.6250  confidence 0.6513  1,234 examples/s")
    bar.stop()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).replace("\r", "\n")
    [line] = {line for line in lines.splitlines() if "accuracy" in line}
    assert line.startswith("epoch  12/200 700/1500  loss 0.6384  accuracy ")
    assert len(line) <= 60
