"""dlrun runs: the runs of a folder, sorted, as a table, as JSON and as CSV."""

import csv
import fcntl
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAVY = {"keras", "jax", "tensorflow", "torch", "hydra", "omegaconf", "yaml", "numpy", "matplotlib"}


def make(path, *, minute=0, accuracy=None, config=None, **record):
    """A run directory with a record as dlrun writes it."""
    path = Path(path)
    path.mkdir(parents=True)
    values = {
        "status": "completed",
        "overrides": [],
        "started": f"2026-11-21T10:{minute:02}:00+0000",
        "backend": "jax",
        "model": "mnist_mlp",
        "loop": "fit",
        "config": {
            "choices": {"optimizer": "adam"},
            "epochs": 9,
            "optimizer": {"learning_rate": 0.001, "nesterov": False},
            **(config or {}),
        },
    }
    if accuracy is not None:
        metrics = {"loss": 1 - accuracy, "accuracy": accuracy}
        values |= dict.fromkeys(("train", "validation", "test"), metrics)
        values |= {"epochs": 4, "best_epoch": 3, "seconds": {"train": 5.0, "total": 10 - minute}}
    (path / "run.json").write_text(json.dumps(values | record))
    (path / "config.yaml").write_text("{}\n")
    return path


@pytest.fixture
def home(dlrun):
    """Three finished runs of three backends, and one in a sweep."""
    runs = dlrun.cwd / "runs"
    make(runs / "mnist_mlp/2026-11-21_10-01-00_aaaa", minute=1, accuracy=0.9, init_from=None)
    make(
        runs / "mnist_mlp/2026-11-21_10-03-00_cccc",
        minute=3,
        accuracy=0.8,
        backend="torch",
        config={"optimizer": {"learning_rate": 0.1}, "choices": {"optimizer": "sgd"}},
    )
    make(runs / "mnist_mlp/2026-11-21_10-02-00_bbbb", minute=2, accuracy=0.95, backend="tensorflow")
    make(runs / "sweeps/rates/2026-11-21_10-04-00_dddd", minute=4, status="failed", error="nan")
    return runs


def listed(dlrun, *words):
    return [run["run"].rpartition("/")[2] for run in dlrun.json_here("runs", *words)["runs"]]


def refused(dlrun, *words):
    done = dlrun.here("runs", *words)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_newest_runs_come_first_at_any_depth_in_lines_of_80_columns(dlrun, home):
    done = dlrun.here("runs")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    first = [line.split()[0] for line in lines[2:6]]
    assert first == ["rates/dddd", "mnist_mlp/cccc", "mnist_mlp/bbbb", "mnist_mlp/aaaa"]
    assert "torch" in lines[3]
    assert "0.2000  0.8000    0.2000  0.8000" in lines[3]
    assert "model mnist_mlp, loop fit" in done.stdout  # values that all share, once
    wide = dlrun.here("runs", env={"COLUMNS": "200"}).stdout
    assert "3/4" in wide
    assert "no room" in done.stdout
    assert "no room" not in wide


def test_a_metric_of_training_that_is_asked_for_is_rounded_under_its_split(dlrun):
    make(dlrun.cwd / "runs/a/one", accuracy=0.9183599948883057)
    make(dlrun.cwd / "runs/a/two", accuracy=0.9283599948883057)
    lines = dlrun.here("runs", "--where", "accuracy>0.9").stdout.splitlines()
    assert lines[0].split() == ["val", "test", "train"]
    assert sorted(line.split()[-1] for line in lines[2:4]) == ["0.9184", "0.9284"]


def test_other_commands_find_a_run_by_its_listed_name(dlrun, home):
    [newest] = dlrun.json_here("runs", "--limit", "1")["runs"]
    done = dlrun.here("evaluate", newest["run"])
    assert "no run directory" not in done.stderr
    assert newest["run_dir"] == "runs/sweeps/rates/2026-11-21_10-04-00_dddd"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sort", "val_accuracy"], ["bbbb", "aaaa", "cccc", "dddd"]),
        (["--sort", "test.accuracy", "--limit", "1"], ["bbbb"]),
        (["--sort", "loss"], ["bbbb", "aaaa", "cccc", "dddd"]),
        (["--sort", "seconds"], ["cccc", "bbbb", "aaaa", "dddd"]),
        (["--sort", "seconds", "--reverse"], ["aaaa", "bbbb", "cccc", "dddd"]),
        (["--sort", "backend"], ["dddd", "aaaa", "bbbb", "cccc"]),  # ties newest first
        (["--sort", "optimizer.learning_rate", "--reverse", "-n", "1"], ["cccc"]),
        (["--reverse"], ["aaaa", "bbbb", "cccc", "dddd"]),
    ],
    ids=" ".join,
)
def test_sort_puts_better_values_first_and_missing_ones_last(dlrun, home, words, expected):
    assert listed(dlrun, *words) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["backend=jax"], ["dddd", "aaaa"]),
        (["backend!=jax"], ["cccc", "bbbb"]),
        (["val_accuracy>0.85", "backend=jax"], ["aaaa"]),
        (["val_loss<=0.2"], ["cccc", "bbbb", "aaaa"]),
        (["optimizer.learning_rate=1e-3"], ["dddd", "bbbb", "aaaa"]),  # by value, not as typed
        (["optimizer=sgd"], ["cccc"]),
        (["optimizer.nesterov=false"], ["dddd", "bbbb", "aaaa"]),
        (["optimizer.nesterov=False"], ["dddd", "bbbb", "aaaa"]),
        (["optimizer.nesterov!=FALSE"], []),
        (["init_from=None", "backend=jax"], ["aaaa"]),
        (["epochs=4"], ["cccc", "bbbb", "aaaa"]),  # epochs done, not those of the config
        (["started>=2026-11-21T10:03"], ["dddd", "cccc"]),
        (["backend=numpy"], []),
    ],
    ids=" ".join,
)
def test_conditions_query_the_record_the_config_or_a_metric(dlrun, home, conditions, expected):
    options = [word for condition in conditions for word in ("--where", condition)]
    assert listed(dlrun, *options) == expected


def test_settings_without_the_metric_are_last_in_either_order(dlrun, home):
    make(home / "mnist_mlp/2026-11-21_10-05-00_eeee", minute=5, config={"epochs": 7})
    for words, order in (([], ["bbbb", "cccc", "eeee"]), (["--reverse"], ["cccc", "bbbb", "eeee"])):
        found = dlrun.json_here("runs", "--group", "--sort", "val_accuracy", *words)["settings"]
        assert [each["run"][-4:] for each in found] == order


def test_a_text_that_no_run_has_is_followed_by_the_most_similar_one(dlrun, home):
    done = dlrun.here("runs", "--where", "status=complete")
    assert (done.returncode, "none of 4 runs" in done.stdout) == (0, True)
    assert "did you mean --where status=completed?" in done.stderr
    done = dlrun.here("runs", "--where", "status=completed", "--where", "backend=numpy")
    assert (done.returncode, done.stderr) == (0, "")


def test_overrides_are_queried_if_a_record_has_no_config(dlrun):
    typed = ["optimizer.learning_rate=1e-3", "+loop.compile=true", "smoke=true"]
    make(dlrun.cwd / "runs/a/one", config=None, overrides=typed)
    path = dlrun.cwd / "runs/a/one/run.json"
    record = json.loads(path.read_text())
    del record["config"]
    path.write_text(json.dumps(record))
    assert listed(dlrun, "--where", "optimizer.learning_rate=0.001") == ["one"]
    assert listed(dlrun, "--where", "loop.compile=false") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--where", "bakend=jax"], "did you mean backend?"),
        (["--where", "learning_rate=0.1"], "did you mean optimizer.learning_rate?"),
        (["--sort", "val_acuracy"], "did you mean val_accuracy?"),
        (["--where", "backend"], "expected a key, one of ="),
        (["--where", "val_loss<low"], "expected a number"),
        (["nosuch"], "name a folder with runs in it, such as runs"),
        (["--json", "--csv"], "choose one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_queries_are_refused_with_a_suggestion(dlrun, home, words, message):
    assert message in refused(dlrun, *words)


def test_a_folder_without_runs_is_not_an_error(dlrun):
    done = dlrun.here("runs")
    assert (done.returncode, done.stdout) == (0, "no runs in runs; 'dlrun train' makes one\n")
    assert dlrun.json_here("runs")["runs"] == []
    make(dlrun.cwd / "runs/a/one")
    done = dlrun.here("runs", "--where", "backend=torch")
    assert (done.returncode, done.stdout) == (0, "the 1 run in runs does not match\n")


def test_csv_has_a_column_for_each_value(dlrun, home):
    rows = list(csv.DictReader(dlrun.here("runs", "--csv").stdout.splitlines()))
    assert rows[0]["run"] == "rates/dddd"
    assert rows[1]["config.optimizer.learning_rate"] == "0.1"
    assert [row["validation.accuracy"] for row in rows] == ["", "0.8", "0.95", "0.9"]
    assert all(Path(dlrun.cwd, row["run_dir"], "run.json").is_file() for row in rows)


def test_a_running_run_without_a_writer_was_killed(dlrun):
    living = make(dlrun.cwd / "runs/a/living", status="running")
    make(dlrun.cwd / "runs/a/copied", status="running")  # without its lock
    dead = make(dlrun.cwd / "runs/a/dead", status="running")
    (dead / ".lock").write_text("1 on nowhere\n")
    (dead / "metrics.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    with (living / ".lock").open("a+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # held by this process, not by dlrun
        for _ in range(2):  # listing runs does not release the lock
            runs = {run["run"]: run for run in dlrun.json("runs")["runs"]}
    statuses = {name: run["status"] for name, run in runs.items()}
    assert statuses == {"a/living": "running", "a/copied": "killed", "a/dead": "killed"}
    assert runs["a/dead"]["epochs"] == 2
    assert json.loads((dead / "run.json").read_text())["status"] == "running"  # nothing is written


def test_files_that_are_not_records_are_skipped_and_counted(dlrun, home):
    for number, text in enumerate(
        [b"", b"[1]", b'{"scripts": {}}', b"\xff", b'{"status":' + b"[" * 5000, b'{"status": 3}',
         b'{"status": "completed", "x": ' + b"[" * 200 + b"]" * 200 + b"}"]
    ):  # fmt: skip
        (home / f"foreign/{number}").mkdir(parents=True)
        (home / f"foreign/{number}/run.json").write_bytes(text)
    os.mkfifo(home / "pipe")
    for name in ("a_pipe", "linked", "empty"):
        (home / name).mkdir()
    os.mkfifo(home / "a_pipe/run.json")
    (home / "linked/run.json").symlink_to(home / "mnist_mlp/2026-11-21_10-01-00_aaaa/run.json")
    (home / "circle").symlink_to(home)
    # A run directory holds no other run.
    make(home / "mnist_mlp/2026-11-21_10-01-00_aaaa/checkpoints/epoch-0001")
    done = dlrun.here("runs", "--json")
    assert len(json.loads(done.stdout)["runs"]) == 4
    assert done.stderr == "left out: 7 with a run.json that is not the record of a run\n"


def test_an_untrusted_record_prints_no_control_characters_and_strict_json(dlrun):
    hostile = {"backend": "\x1b[2J\ud800", "seconds": [], "train": 3, "test": {"\x07": "x"}}
    make(dlrun.cwd / "runs/a/b", **hostile, started=7, validation={"loss": float("nan")})
    for words in ([], ["--csv"], ["--sort", "val_loss"], ["--where", "backend!=jax"]):
        done = dlrun.here("runs", *words)
        assert done.returncode == 0, done.stderr
        assert done.stdout.replace("\n", "").isprintable()
    [run] = dlrun.json_here("runs")["runs"]
    assert run["validation"] == {"loss": None}


def test_no_framework_is_imported(dlrun, home):
    for words in ([], ["--sort", "val_loss", "--where", "optimizer.learning_rate<1"], ["--csv"]):
        done, imported = dlrun.traced("runs", *words)
        assert done.returncode == 0, done.stderr
        assert not imported & HEAVY


def test_a_closed_pipe_prints_no_traceback(dlrun):
    for number in range(500):  # more than a pipe holds
        make(dlrun.cwd / f"runs/a/{'long' * 50}{number}")
    code = textwrap.dedent("""
        import subprocess, sys
        asked = subprocess.Popen([sys.argv[1], "runs"], stdout=subprocess.PIPE)
        asked.stdout.readline()
        asked.stdout.close()
        sys.exit(asked.wait())
    """)
    dlrun_command = str(Path(sys.executable).with_name("dlrun"))
    done = subprocess.run(
        [sys.executable, "-c", code, dlrun_command],
        cwd=dlrun.cwd, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")


def test_a_null_metric_is_blank_matches_no_condition_and_sorts_last(dlrun, home):
    null = {"loss": None, "accuracy": None}
    make(home / "a/null", minute=9, validation=null, test=null, epochs=4, best_epoch=4)
    assert dlrun.here("runs").returncode == dlrun.here("runs", "--csv").returncode == 0
    assert listed(dlrun, "--where", "val_loss<9") == ["cccc", "bbbb", "aaaa"]
    assert listed(dlrun, "--where", "val_loss>=0") == ["cccc", "bbbb", "aaaa"]
    for words in (["val_accuracy"], ["val_accuracy", "--reverse"], ["val_loss"], ["test.loss"]):
        assert "null" in listed(dlrun, "--sort", *words)[3:]
