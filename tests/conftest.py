"""What runs dlrun for real: the installed command, in a process of its own, in an empty directory.

No framework is ever imported into pytest's own process: a process can start one backend only.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from importlib.metadata import version
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlrun.cli import app
from trainings import BACKENDS, compilation, forget, worker

COMMAND = str(Path(sys.executable).with_name("dlrun"))
TIMEOUT_SECONDS = 240

# What a developer's shell may hold and a test must not see.
FOREIGN = (
    "KERAS_BACKEND",
    "KERAS_TORCH_DEVICE",
    "JAX_PLATFORMS",
    "PYTHONPATH",
    "FORCE_COLOR",
    "XLA_FLAGS",
)


FRAMEWORKS = {"jax", "keras", "tensorflow", "torch"}

needs_namespace = pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0,
    reason="needs a namespace to mount a small file system",
)


def pytest_runtest_setup(item):
    """Leave out the tests of a backend that this Python can't have."""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if sys.version_info >= (3, 14) and any(str(value) == "tensorflow" for value in values):
        pytest.skip("tensorflow has no build for Python 3.14")


class Dlrun:
    """Runs the installed ``dlrun`` in one directory."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd

    def __call__(
        self, *arguments, cwd=None, env=None, timeout=TIMEOUT_SECONDS, command=None, input=None
    ):
        return subprocess.run(
            [*(command or [COMMAND]), *map(str, arguments)],
            cwd=cwd or self.cwd,
            env={**os.environ, **(env or {})},
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *arguments, **options) -> dict:
        """The one JSON object that a command which succeeds prints on stdout."""
        done = self(*arguments, "--json", **options)
        assert done.returncode == 0, done.stderr
        return strict_json(done.stdout)

    def warm(self, backend: str, *arguments) -> dict:
        """As :meth:`json`, in a process of this backend that stays: no framework is imported again.

        For what a command does, not how it starts, ends or prints.
        """
        done = self.within(backend, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return strict_json(done.stdout)

    def within(self, backend: str, *arguments) -> subprocess.CompletedProcess[str]:
        """As a call, in the process of :meth:`warm`; also for a command that fails."""
        words = [*map(str, arguments), f"backend={backend}"]
        code, stdout, stderr = worker(backend).command(self.cwd, words)
        return subprocess.CompletedProcess(words, code, stdout, stderr)

    def here(self, *arguments, env=None) -> subprocess.CompletedProcess[str]:
        """As a call, in pytest's own process, for a command that imports no framework.

        Of a process of its own, all but a fraction of the time goes into imports.
        """
        words, before = list(map(str, arguments)), FRAMEWORKS & set(sys.modules)
        with chdir(self.cwd):
            done = CliRunner().invoke(app, words, env=env)
        forget(self.cwd)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert FRAMEWORKS & set(sys.modules) == before, "it imported a framework"
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

    def json_here(self, *arguments) -> dict:
        """As :meth:`json`, of :meth:`here`."""
        done = self.here(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return strict_json(done.stdout)

    def path(self, result: dict) -> Path:
        """Where the run of a result lies."""
        return self.cwd / result["run_dir"]

    def only_run(self) -> Path:
        """The one run that there is."""
        [config] = self.cwd.glob("runs/*/*/config.yaml")
        return config.parent

    def parse(self, text: str) -> dict:
        """A JSON object."""
        return strict_json(text)

    def record(self, run: Path) -> dict:
        """A run's ``run.json``."""
        return strict_json((run / "run.json").read_text(encoding="utf-8"))

    def traced(self, *arguments, **options) -> tuple[subprocess.CompletedProcess[str], set[str]]:
        """Run a command, and name each module that it had imported when it ended."""
        names = self.cwd / "imported.txt"
        tell = f"open({str(names)!r}, 'w').write(' '.join(modules))"
        code = (
            "import atexit; from sys import modules;"
            f"atexit.register(lambda: {tell}); from dlrun.cli import main; main()"
        )
        done = self(*arguments, command=[sys.executable, "-c", code], **options)
        return done, set(names.read_text().split())


def slow(*values: object):
    """A parameter of a test that is left to ``pytest -m slow``."""
    return pytest.param(*values, marks=pytest.mark.slow)


def slow_on(*names: str, of=BACKENDS):
    """Backends for a test; those that compile for long are left to ``pytest -m slow``."""
    return [slow(name) if name in names else name for name in of]


def in_turn(*axes):
    """All combinations of backends, loops and the like, most of them left to ``pytest -m slow``.

    Among the others is each value of each axis, and of three axes each pair of values.
    """
    fewest = min(map(len, axes))
    return [
        pytest.param(
            *(axis[at] for axis, at in zip(axes, place, strict=True)),
            marks=pytest.mark.slow if sum(place) % fewest else (),
        )
        for place in product(*(range(len(axis)) for axis in axes))
    ]


def eventually(holds, seconds=60):
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)


def strict_json(text: str) -> dict:
    """Parse JSON as other languages do: NaN and Infinity are not part of it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# Files of few long tests: begun first, none keeps one core busy while the others are idle.
LONG = ("test_launchers", "test_resume", "test_docs", "test_reuse", "test_parity", "test_reproduce")


def pytest_configure() -> None:
    """Take Ctrl-C, and refuse two test files of one name: pytest can not have both."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a script. The processes under test would ignore it as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    if twice := [name for name, count in names.items() if count > 1]:
        raise pytest.UsageError(f"test files need names of their own: {', '.join(twice)}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, then those that compile alike; refuse an import of a framework."""
    if imported := FRAMEWORKS & set(sys.modules):
        raise pytest.UsageError(
            f"a test file imports {min(imported)}: let a worker of tests/trainings.py do it"
        )
    items.sort(key=lambda item: (item.path.stem not in LONG, not is_optimized(item.path)))


# What the compiled code computes is what these are about: XLA optimizes it as for a user. Elsewhere
# it compiles in a quarter of the time, with few optimizations. `pytest -m slow` has all of them.
OPTIMIZED = ("backends", "proofs", "test_fit", "test_modes")
FEW_OPTIMIZATIONS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if version("jaxlib").startswith("0.10."):  # a flag that XLA does not know ends the process
    FEW_OPTIMIZATIONS += " --xla_cpu_use_fusion_emitters=false"


def is_optimized(path: Path) -> bool:
    """Whether XLA compiles for the tests of a file as for a user."""
    return path.parent.name in OPTIMIZED or path.stem in OPTIMIZED


@pytest.fixture(scope="module", autouse=True)
def _compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """How much XLA optimizes what it compiles."""
    optimized = is_optimized(request.path) or request.config.option.markexpr == "slow"
    with pytest.MonkeyPatch.context() as patch:
        if not optimized:
            patch.setenv("XLA_FLAGS", FEW_OPTIMIZATIONS)
        yield


def shared_temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary directory of this session, which the processes of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Homes of this session's own, so that no test reads or writes the user's."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in FOREIGN:
            patch.delenv(variable, raising=False)
        patch.setenv("KERAS_HOME", str(home / "keras"))
        patch.setenv("XDG_CACHE_HOME", str(shared_temp(tmp_path_factory) / "cache"))
        patch.setenv("NO_COLOR", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")  # the same devices on every machine
        patch.setenv("TERM", "xterm-256color")
        # Two torch processes of two threads each on two cores are four times slower.
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dlrun(tmp_path: Path) -> Dlrun:
    """The installed command, in an empty directory."""
    return Dlrun(tmp_path)


class Trained:
    """One small finished run per backend, trained when a test first asks for it."""

    def __init__(self, home: Path) -> None:
        self.dlrun = Dlrun(home)
        self.finished: dict[tuple[str, str | None], subprocess.CompletedProcess[str]] = {}

    def done(self, backend: str) -> subprocess.CompletedProcess[str]:
        """How the training went. Nobody may change what it left behind."""
        compiled = backend, compilation(backend)  # other code differs in the last bit
        if compiled not in self.finished:
            self.finished[compiled] = self._train_once(backend, is_fast=bool(compiled[1]))
        done = self.finished[compiled]
        assert done.returncode == 0, done.stderr
        return done

    def _train_once(self, backend: str, *, is_fast: bool) -> subprocess.CompletedProcess[str]:
        """Train, unless another process of pytest-xdist has, or wait while it does."""
        told = self.dlrun.cwd / f"{backend}-{'fast' if is_fast else 'optimized'}.json"
        with told.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not told.exists():
                overrides = (f"backend={backend}", f"runs_dir={backend}", "epochs=4")
                words = ("train", *overrides, "data.limit=3000", "--json", "--export-keras")
                told.write_text(json.dumps(vars(self.dlrun(*words))))
        return subprocess.CompletedProcess(**json.loads(told.read_text()))

    def result(self, backend: str) -> dict:
        """The result that training printed."""
        return json.loads(self.done(backend).stdout)

    def run(self, backend: str) -> Path:
        """The run's directory."""
        return self.dlrun.path(self.result(backend))

    def copy(self, backend: str, place: Path) -> Path:
        """A copy of the run's directory that a test may change."""
        run = self.run(backend)
        return Path(shutil.copytree(run, place / "runs" / "copied" / run.name))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One small finished run per backend."""
    home = shared_temp(tmp_path_factory) / "trained"
    home.mkdir(exist_ok=True)
    return Trained(home)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory):
    """Tables, and runs on them, trained when a test first asks for one."""
    from houses import Homes

    return Homes(tmp_path_factory.mktemp("homes"))
