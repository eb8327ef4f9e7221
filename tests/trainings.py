"""Trainings in a process of each backend that stays: it starts in seconds and trains in one.

Run as a script, this file is that process. It does nothing but what ``dlrun`` does.
"""

import atexit
import csv
import json
import logging
import os
import select
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")
TIMEOUT_SECONDS = 240
started: dict[str, "Worker"] = {}


class Refused(Exception):  # noqa: N818 - as the user reads it
    """dlrun told the user of an error."""

    def __init__(self, message: str, hint: str | None, exit_code: int) -> None:
        super().__init__(message)
        self.message, self.hint, self.exit_code = message, hint, exit_code


class Worker:
    """A process of one backend."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.compiles = compilation(backend)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, __file__, backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        atexit.register(self.close)

    def train(self, cwd: Path, *overrides: str) -> dict:
        """``dlrun train``: the result, the rows of ``metrics.csv`` and the log.

        Raises:
            Refused: Where it would end with a line that begins with ``error:``.
        """
        overrides = (f"backend={self.backend}", *overrides)
        return self._with_rows(cwd, self._ask(cwd, "train", list(overrides)))

    def resume(self, cwd: Path, run: Path, *overrides: str) -> dict:
        """``dlrun resume``: as for :meth:`train`."""
        overrides = (f"backend={self.backend}", *overrides)
        return self._with_rows(cwd, self._ask(cwd, "resume", [str(run), list(overrides)]))

    def _with_rows(self, cwd: Path, result: dict) -> dict:
        run = cwd / result["run_dir"]
        with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        return {**result, "path": run, "rows": rows, "log": (run / "dlrun.log").read_text()}

    def evaluate(self, cwd: Path, run: Path, *overrides: str, **options: str) -> dict:
        """``dlrun evaluate``: the result."""
        overrides = (f"backend={self.backend}", *overrides)
        return self._ask(cwd, "evaluate", [str(run), list(overrides), options])

    def predict(
        self, cwd: Path, run: Path, output: Path, source: Path | None = None, *more: str, **options
    ) -> dict:
        """``dlrun predict`` with more overrides: the result."""
        overrides, given = [f"backend={self.backend}", *more], str(cwd / source) if source else None
        return self._ask(cwd, "predict", [str(run), overrides, str(cwd / output), given, options])

    def command(self, cwd: Path, words: list[str]) -> list:
        """A command as it is typed: its exit code, stdout and stderr."""
        return self._ask(cwd, "command", [words])

    def run(self, cwd: Path, script: str) -> dict:
        """What a script has put into the mapping ``found``, once the backend is started."""
        return self._ask(cwd, "run", [self.backend, script])

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
        self._errors.close()

    def _ask(self, cwd: Path, verb: str, arguments: list) -> dict:
        self._process.stdin.write(json.dumps([str(cwd), verb, arguments]) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], TIMEOUT_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self._process.kill()
            started.pop(self.backend, None)  # the next test starts another
            self._errors.seek(0)
            raise AssertionError(f"the process ended, or hung: {self._errors.read().decode()}")
        kind, value = json.loads(line)
        if kind == "refused":
            raise Refused(**value)
        assert kind == "done", value
        return value


def worker(backend: str) -> Worker:
    """The process of a backend, started when first asked for.

    Another takes its place where a test wants XLA to compile in another way.
    """
    if backend in started and started[backend].compiles != compilation(backend):
        started.pop(backend).close()
    if backend not in started:
        started[backend] = Worker(backend)
    return started[backend]


def compilation(backend: str) -> str | None:
    """The variable that says how XLA compiles."""
    return os.environ.get("XLA_FLAGS") if backend in ("jax", "tensorflow") else None


def forget(place: Path) -> None:
    """Let no module of a directory be known any more: another directory is another user."""
    sys.path[:] = [path for path in sys.path if path != str(place)]
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{place}/"):
            del sys.modules[name]


def _train(*overrides):
    from dlrun.api.train import train

    return train(overrides, quiet=True).to_dict()


def _resume(run, overrides):
    from dlrun.api.resume import resume
    from dlrun.config.project import Project

    return resume(
        run,
        overrides,
        runs_dir=Path("runs"),
        project=Project(trusted=("my_net", "my_callbacks", "my_data", "my_harm")),
        quiet=True,
    ).to_dict()


def _evaluate(run, overrides, options):
    from dlrun.api.evaluate import evaluate

    options = {k: Path(v) if k == "data" else v for k, v in options.items()}
    return evaluate(run, overrides, **_with_project(options))[0]


def _predict(run, overrides, output, source, options):
    from dlrun.api.predict import predict

    source = Path(source) if source else None
    return predict(run, overrides, output=Path(output), source=source, **_with_project(options))


def _with_project(options):
    from dlrun.config.project import Project

    return {"project": Project.of(None, options.pop("trusted", ())), **options}


def _command(words):
    from typer.testing import CliRunner

    from dlrun.cli import app

    done = CliRunner().invoke(app, words)
    raised = done.exception
    unforeseen = "" if raised is None or isinstance(raised, SystemExit) else repr(raised)
    return done.exit_code, done.stdout, done.stderr or unforeseen


def _run(backend, script):
    from dlrun import backends

    module, _ = backends.start(backend, kind="cpu", index=None, precision="float32", seed=0)
    names = {"backend": module, "found": {}}
    exec(compile(script, "script", "exec"), names)
    return names["found"]


def _answer(cwd, verb, arguments):
    from dlrun.errors import DlrunError

    if Path.cwd() != Path(cwd):
        forget(Path.cwd())
        os.chdir(cwd)
    try:
        return "done", globals()[f"_{verb}"](*arguments)
    except DlrunError as error:
        fields = {name: getattr(error, name) for name in ("message", "hint", "exit_code")}
        return "refused", fields
    except BaseException:
        return "failed", traceback.format_exc()


def _serve():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    os.chdir(tempfile.mkdtemp())  # of no module: the checkout may lie in the usual place
    logging.getLogger("dlrun").setLevel(logging.INFO)  # as the command does
    for line in sys.stdin:
        print(json.dumps(_answer(*json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
