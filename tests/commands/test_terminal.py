"""What a command prints as its result."""

import io
import json
from pathlib import Path

import pytest
import typer

from dlrun.commands.terminal import log_next, print_result, report_errors


def test_a_metric_that_is_not_a_number_is_printed_as_null() -> None:
    out = io.StringIO()
    print_result(out, {"test": {"loss": float("nan"), "of": [float("inf")]}}, True, str)
    assert out.getvalue() == '{"test": {"loss": null, "of": [null]}}\n'
    assert json.loads(out.getvalue())


def test_a_table_for_people_still_says_nan() -> None:
    out = io.StringIO()
    print_result(out, {"loss": float("nan")}, False, lambda result: f"loss {result['loss']}")
    assert out.getvalue() == "loss nan\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(36, "File name too long", "x" * 5_000), "can't use xxx"),
        (PermissionError(13, "Permission denied", "a.npy"), "can't use a.npy: Permission denied\n"),
        (OSError("the disk is gone\nforever"), "the disk is gone\n"),
    ],
)
def test_what_the_system_refuses_is_one_line(capsys, error, expected):
    with pytest.raises(typer.Exit) as caught, report_errors():
        raise error
    stderr = capsys.readouterr().err
    assert caught.value.exit_code == 1
    assert stderr.startswith(f"error: {expected}")
    assert stderr.count("\n") == 1 and len(stderr) < 300


def test_an_interrupted_command_does_not_say_that_nothing_was_started(capsys) -> None:
    # It is one that trains no run, such as bench, evaluate or clean: it may have done a part.
    with pytest.raises(typer.Exit) as ended, report_errors():
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130 and capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("kept", "callback", "told"),
    [
        (["epoch-0001"], "checkpoint", "next   dlrun evaluate runs/a/one\n"),
        # As callbacks=tensorboard replaces all others.
        ([], "tensorboard", "no checkpoint is kept without the callback checkpoint; +callbacks="),
        # As dlrun sweep --keep does.
        ([], "checkpoint", "its checkpoints were removed; dlrun train --from runs/a/one trains"),
    ],
)
def test_only_a_run_with_a_checkpoint_is_to_be_evaluated_next(
    kept: list[str], callback: str, told: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/a/one").mkdir(parents=True)
    Path("runs/a/one/config.yaml").write_text(f"callbacks: {{{callback}: {{}}}}\n")
    for name in kept:
        Path("runs/a/one/checkpoints", name).mkdir(parents=True)
    with report_errors():
        log_next("runs/a/one")
    assert capsys.readouterr().err.startswith(told)
