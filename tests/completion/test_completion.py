"""Completion: what is offered, how fast, and in real shells."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from dlrun.cli import COMMANDS, app
from dlrun.completion.complete import complete
from dlrun.completion.overrides import VALUES
from dlrun.completion.signatures import parameters
from dlrun.completion.words import after_last_break, split_line
from dlrun.config import limits

NAMES = [name for of in COMMANDS.values() for name in of]
RUN = "runs/mnist_mlp/2026-11-21_10-04-31_k3f9"


@pytest.fixture(autouse=True)
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a run and a model of the user's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / RUN).mkdir(parents=True)
    (tmp_path / RUN / "run.json").write_text("{}")
    (tmp_path / "configs/model").mkdir(parents=True)
    (tmp_path / "configs/model/mine.yaml").write_text("# Mine.\n_target_: my.net\nwidth: 3\n")
    (tmp_path / "table.csv").touch()
    return tmp_path


def offered(line: str) -> list[str]:
    words, _ = complete(split_line(line)[1:])
    return [word for word, _ in words]


@pytest.mark.parametrize("name", NAMES)
def test_options_read_from_the_source_are_those_of_the_command(name: str) -> None:
    command = typer.main.get_command(app).commands[name]
    real = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    found = parameters(name)
    assert [(p.name, sorted(p.flags)) for p in found] == [
        (p.name, sorted([*p.opts, *p.secondary_opts]) if p.param_type_name == "option" else [])
        for p in real
    ]
    assert [p.is_flag for p in found] == [bool(getattr(p, "is_flag", False)) for p in real]
    assert [p.several for p in found if not p.flags] == [
        p.nargs == -1 for p in real if p.param_type_name == "argument"
    ]
    assert [p.help for p in found] == [p.help for p in real]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dlrun verify", ["verify-resume"]),
        ("dlrun train --ex", ["--export-keras"]),
        ("dlrun train -m --ret", ["--retries"]),
        ("dlrun evaluate latest --split te", ["test"]),
        ("dlrun evaluate latest --split=te", ["--split=test"]),
        ("dlrun export latest --format li", ["litert"]),
        ("dlrun export latest --quantize ", ["int8", "float16"]),
        ("dlrun train optimi", ["optimizer=", "optimizer."]),
        ("dlrun train ep", ["epochs="]),
        ("dlrun train backend=to", ["backend=torch"]),
        ("dlrun sweep backend=jax,to", ["backend=jax,torch"]),
        ("dlrun train callbacks=[default,te", ["callbacks=[default,te" + e for e in
                                               ("nsorboard", "rminate_on_nan")]),
        ("dlrun train +callbacks=tens", ["+callbacks=tensorboard"]),
        ("dlrun train ~callbacks.ea", ["~callbacks.early_stopping", "~callbacks.early_stopping."]),
        ("dlrun train model.u", ["model.units="]),
        ("dlrun train max_", ["max_steps=", "max_time="]),
        ("dlrun resume latest check", ["checkpoint."]),
        ("dlrun sweep checkpoint.every", [f"checkpoint.every{unit}=" for unit in
                                          ("", "_steps", "_seconds")]),
        ("dlrun train model=mine model.", ["model.width="]),
        ("dlrun train model=min", ["model=mine"]),
        ("dlrun train experiment=tickets optimizer.learning", ["optimizer.learning_rate="]),
        ("dlrun train task.mon", ["task.monitor="]),
        ("dlrun train precision=mixed_b", ["precision=mixed_bfloat16"]),
        ("dlrun train data=csv data.path=ta", ["data.path=table.csv"]),
        ("dlrun evaluate ", ["latest", "mnist_mlp/k3f9"]),
        ("dlrun evaluate k3", ["k3f9"]),
        ("dlrun train init_from=k3", ["init_from=k3f9"]),
        ("dlrun evaluate latest backend=nu", ["backend=numpy"]),
        ("dlrun compare latest mnist", ["mnist_mlp/k3f9"]),
        ("dlrun train init_from=la", ["init_from=latest"]),
        ("dlrun train --from mnist", ["mnist_mlp/k3f9"]),
        ("dlrun diff latest mnist", ["mnist_mlp/k3f9"]),
        ("dlrun evaluate latest --against la", ["latest"]),
        ("dlrun evaluate latest --checkpoint ", ["best", "last"]),
        ("dlrun predict latest --checkpoint=b", ["--checkpoint=best"]),
        ("dlrun compare latest k3f9 --by s", ["samples", "seconds", "step"]),
        ("dlrun list mod", ["model"]),
        ("dlrun reproduce first", ["first_network"]),
        ("dlrun parity --backends jax,te", ["jax,tensorflow"]),
        ("dlrun reproduce --backend jax,te", ["jax,tensorflow"]),
        ("dlrun train 'backend=jax' smo", ["smoke="]),
        ("dlrun nosuch ", []),
    ],
)  # fmt: skip
def test_offered_words(line: str, expected: list[str]) -> None:
    assert sorted(offered(line)) == sorted(expected)


def test_values_that_are_offered_are_those_that_are_valid() -> None:
    assert VALUES["precision"] == limits.PRECISIONS
    assert VALUES["matmul_precision"] == limits.MATMUL_PRECISIONS


def test_bash_replaces_what_follows_its_last_break() -> None:
    assert after_last_break("backend=ja", "=:") == len("backend=")
    assert after_last_break("backend=ja", ":") == 0


def test_call_imports_neither_typer_nor_hydra_nor_numpy(cwd: Path) -> None:
    script = (
        "import sys; sys.argv[1:] = ['train', 'model=mine', 'model.'];"
        "from dlrun.__main__ import main; main();"
        "print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "_DLRUN_COMPLETE": "zsh"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["nospace", "model.width=\t"]
    assert set(done.stderr.split()) & {"typer", "click", "rich", "hydra", "numpy", "keras"} == set()


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(dlrun completion bash)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -U compinit; compinit -u -D; eval "$(dlrun completion zsh)"',
    ),
}


@pytest.mark.parametrize("shell", list(SHELLS))
def test_shell_completes_what_is_typed(shell: str, cwd: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    command, setup = SHELLS[shell]
    terminal = Terminal(command, cwd)
    try:
        terminal.send("PS1='READY '; PROMPT='READY '; unset zle_bracketed_paste\n")
        terminal.read_until("READY ")
        terminal.send(f"{setup}; echo set''up\n")
        terminal.read_until("setup")
        for typed, expected in (
            ("dlrun verify\t", "verify-resume "),
            ("dlrun train backend=to\t", "backend=torch "),
            ("dlrun train backend=jax,to\t", "backend=jax,torch "),
            ("dlrun train model=mine model.\t7", "model.width=7"),
            ("dlrun evaluate mnist\t", "mnist_mlp/k3f9 "),
            # What zsh would take for a pattern or a user's home has to be quoted.
            ("dlrun train 'tracker=[mlflow,tens\t", "[mlflow,tensorboard' "),
            ("dlrun train '~callbacks.early\t'", "~callbacks.early_stopping'"),
        ):
            terminal.send(typed)
            terminal.read_until(expected)
            terminal.send("\x15\x0b")  # an empty line again
    finally:
        terminal.close()


def test_fish_completes_what_is_typed(cwd: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    script = "dlrun completion fish | source; complete -C 'dlrun train backend=jax,to';"
    script += "complete -C 'dlrun train model=mine model.'; complete -C 'dlrun evaluate mnist';"
    script += r"complete -C 'dlrun train \'tracker=[mlflow,tens';"
    script += r"complete -C 'dlrun train tracker=\[mlflow,tens'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path_with_dlrun()},
        cwd=cwd,
    )
    words = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert words == [
        *("backend=jax,torch", "model.width=", "mnist_mlp/k3f9"),
        *["tracker=[mlflow,tensorboard"] * 2,
    ], done.stderr


def path_with_dlrun() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


class Terminal:
    """A shell on a terminal, for the test to type in."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self._terminal, other_end = pty.openpty()
        env = {**os.environ, "PATH": path_with_dlrun(), "TERM": "xterm", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
        )
        os.close(other_end)

    def send(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, expected: str) -> None:
        shown, until = "", time.monotonic() + 30
        while expected not in re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\x07|\r", "", shown):
            ready, _, _ = select.select([self._terminal], [], [], until - time.monotonic())
            assert ready, f"{expected!r} did not come: {shown!r}"
            shown += os.read(self._terminal, 4096).decode(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
