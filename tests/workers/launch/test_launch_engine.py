"""dlrun launch --slurm and --ray: an engine places the machines of a run."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import COMMAND, eventually
from dlrun.checkpoints.store import list_epochs
from dlrun.runs.launches import ENDED, OPENED, REQUEST
from dlrun.workers.launch.engine import read_engine
from dlrun.workers.launch.spot import STOP
from launches import slurm_nodes, working_in
from trainings import worker

RUN = (
    "backend=torch", "model=mnist_mlp_dropout", "data=sklearn", "data.name=digits",
    "data.limit=130", "batch_size=50", "device=cpu",
)  # fmt: skip
SPREAD = (*RUN, "distribution=data_parallel")
DIES = """
import os
import keras

class DiesOnce(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and os.environ.get("DLRUN_RANK") == "1" and not os.path.exists("died"):
            open("died", "w").close()
            os._exit(3)
"""
NODE = """
import sys
from pathlib import Path
from dlrun.workers.launch.spot import run_node

folder, node, attempt = sys.argv[1:]
sys.exit(run_node(Path(folder), int(node), "127.0.0.1", cores=1, attempt=int(attempt)))
"""


@pytest.fixture
def folder(tmp_path):
    """What the machines share, with a request to train in two processes."""
    (tmp_path / "my_callbacks.py").write_text(DIES)
    folder = tmp_path / "runs/launches/one"
    folder.mkdir(parents=True)

    def request(*words):
        command = ["launch", "--nodes", "2", "--", "train", *SPREAD, "device.count=2", *words]
        (folder / REQUEST).write_text(
            json.dumps({"cwd": str(tmp_path), "command": command, "engine": "--slurm nodes=2"})
        )
        return folder

    return request


def start_nodes(folder, attempt=0):
    """What an engine starts, on each machine."""
    command = [sys.executable, "-P", "-c", NODE, folder]
    return [subprocess.Popen([*command, str(node), str(attempt)]) for node in range(2)]


@pytest.mark.trains
def test_machines_find_each_other_and_a_later_start_resumes_the_run(folder, tmp_path):
    folder = folder("epochs=2", "+callbacks.dies._target_=my_callbacks.DiesOnce", "--json")
    codes = [node.wait(100) for node in start_nodes(folder)]
    told = (folder / "stderr").read_text()
    assert codes == [1, 1], told
    assert f"error: rank 1 on {socket.gethostname()}: its process ended with exit code 3" in told
    resume = "resume with: dlrun launch --slurm nodes=2 --per-node 1 -- resume runs/"
    assert f"hint: the newest checkpoint is of epoch 1; {resume}" in told
    assert (folder / "stdout").read_text() == ""
    assert json.loads((folder / OPENED).read_text())["path"].startswith("runs/")

    assert [node.wait(100) for node in start_nodes(folder, attempt=1)] == [0, 0]
    assert "resume after epoch 1" in (folder / "stderr").read_text()
    result = json.loads((folder / "stdout").read_text())
    alone = worker("torch").train(tmp_path, *RUN, "epochs=2")
    assert result["test"] == pytest.approx(alone["test"], rel=1e-5)


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_run_ends_at_the_end_of_its_batch_if_it_is_asked_to(folder, tmp_path, number):
    folder = folder("epochs=100000", "~callbacks.early_stopping")
    nodes = start_nodes(folder)
    eventually(lambda: list(tmp_path.glob("runs/*/*/checkpoints/epoch-*")))
    (folder / STOP).write_text(str(int(number)))
    assert nodes[0].wait(60) == 128 + number
    nodes[1].wait(60)
    assert "interrupted; the newest checkpoint is of epoch" in (folder / "stderr").read_text()


@pytest.mark.trains
@pytest.mark.slow
def test_processes_end_with_the_engine_that_has_started_them(folder, tmp_path):
    folder = folder("epochs=100000", "~callbacks.early_stopping")
    nodes = start_nodes(folder)
    eventually(lambda: list(tmp_path.glob("runs/*/*/checkpoints/epoch-*")))
    for node in nodes:
        node.kill()
        node.wait()
    eventually(lambda: not working_in(tmp_path), 60)
    [record] = tmp_path.glob("runs/*/*/run.json")  # which ended first, decides
    assert json.loads(record.read_text())["status"] in ("interrupted", "failed")


def read(*words, nodes=1, **given):
    return read_engine(given, words, nodes=nodes, master=None, detach=False)


def test_what_stands_before_the_command_is_for_the_engine():
    asked, command = read("nodes=4", "a b=c", "train", "seed=1", slurm=["partition=gpu"])
    assert (asked.name, asked.options, asked.nodes) == ("slurm", ["partition=gpu", "a b=c"], 4)
    assert asked.text == "--slurm partition=gpu 'a b=c' nodes=4"
    assert command == ("train", "seed=1")
    asked, command = read("resume", "latest", ray=["address=auto"], nodes=3)
    assert (asked.nodes, command) == (3, ("resume", "latest"))
    assert read("train", "nodes=4") == (None, ("train", "nodes=4"))


SLURM = ("sbatch", "srun", "scontrol", "scancel")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--slurm nodes=2 --ray nodes=2 -- train", "--slurm and --ray: expected one of them"),
        ("--detach -- train", "--detach goes with --slurm"),
        ("--slurm nodes=2 --master a:1 -- train", "--master does not go with --slurm"),
        ("--slurm nodes=2 nodes=3 -- train", "the number of machines is 2 and 3"),
        ("--slurm nodes=2 --nodes 3 -- train", "the number of machines is 2 and 3"),
        ("--ray nodes=0 -- train", "--ray: the number of machines is 0"),
        ("--ray nodes=2 -- evaluate latest", "dlrun launch starts dlrun train or resume"),
        ("--slurm partitoin=gpu -- train", "did you mean partition?"),
        ("--slurm gpu -- train", "--slurm gpu can't be read: expected key=value"),
        ("--slurm tasks_per_node=2 -- train", "--per-node sets the processes of a machine"),
        ("--ray num_cpu=2 -- train", "did you mean num_cpus?"),
        ("--ray num_cpus=two -- train", "--ray num_cpus=two: expected a whole number"),
        ("--ray nodes=2 -- train backend=torch", "2 devices need a distribution, such as"),
        ("--slurm nodes=2 -- train lr=1", "lr"),
        ("--slurm nodes=2 --per-node 2 -- train device.count=2", "starts 4 processes"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_submitted(
    dlrun, monkeypatch, tmp_path, typed, said
):
    for name in SLURM:  # found, and not called
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = dlrun.here("launch", *typed.split())
    assert done.returncode == 2
    assert said in done.stderr
    assert not (dlrun.cwd / "runs").exists()


def test_without_slurm_the_missing_commands_are_named(dlrun, monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = dlrun.here("launch", "--slurm", "nodes=2", "--", "train")
    assert done.returncode == 2
    assert "--slurm: sbatch, srun, scontrol, scancel not found" in done.stderr


def follow(dlrun, *words):
    return subprocess.Popen(
        [COMMAND, "launch", *words], cwd=dlrun.cwd, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def train_and_stop(dlrun, *engine):
    """A run has the numbers of one process; one that is stopped can be resumed by the engine."""
    launched = follow(dlrun, *engine, "--", "train", *SPREAD, "epochs=2", "--json")
    out, told = launched.communicate(timeout=200)
    assert launched.returncode == 0, told
    alone = worker("torch").train(dlrun.cwd, *RUN, "epochs=2")
    assert json.loads(out)["test"] == pytest.approx(alone["test"], rel=1e-5)

    endless = ("epochs=100000", "~callbacks.early_stopping", "runs_dir=endless")
    launched = follow(dlrun, *engine, "--", "train", *SPREAD, *endless)
    saved = "endless/*/*/checkpoints/epoch-*"
    eventually(lambda: list(dlrun.cwd.glob(saved)), 100)
    launched.send_signal(signal.SIGINT)
    _, told = launched.communicate(timeout=100)
    assert launched.returncode == 130, told
    assert "interrupted; the newest checkpoint is of epoch" in told
    [path] = dlrun.cwd.glob("endless/mnist_mlp_dropout/*")
    epochs = list_epochs(path / "checkpoints")[-1] + 1
    assert f"-- resume {path.relative_to(dlrun.cwd)}" in told
    launched = follow(dlrun, *engine, "--", "resume", str(path), f"epochs={epochs}", "--json")
    out, told = launched.communicate(timeout=200)
    assert launched.returncode == 0, told
    assert json.loads(out)["epochs"] == epochs


@pytest.mark.trains
@pytest.mark.slow  # Slurm waits for two minutes before it starts a requeued job
@pytest.mark.skipif(slurm_nodes() < 2, reason="needs a Slurm with two nodes")
def test_on_a_real_slurm(dlrun):
    train_and_stop(dlrun, "--slurm", "nodes=2")

    words = ("train", *SPREAD, "epochs=20000", "~callbacks.early_stopping", "runs_dir=preempted")
    launched = follow(dlrun, "--slurm", "nodes=2", "--", *words)
    eventually(lambda: list(dlrun.cwd.glob("preempted/*/*/checkpoints/epoch-*")), 100)
    [job] = subprocess.run(
        ["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True
    ).stdout.split()
    subprocess.run(["scancel", "-s", "USR2", job], check=True)
    [record] = dlrun.cwd.glob("preempted/*/*/run.json")
    eventually(lambda: "resumed" in dlrun.record(record.parent), 240)
    subprocess.run(["scancel", job], check=True)
    launched.communicate(timeout=100)
    assert dlrun.record(record.parent)["status"] == "interrupted"

    detached = dlrun("launch", "--slurm", "nodes=2", "--detach", "--", "train", *SPREAD, "epochs=1")
    assert detached.returncode == 0, detached.stderr
    logs = Path(detached.stderr.rpartition("logs   ")[2].strip())
    eventually((logs / ENDED).exists, 100)
    assert json.loads((logs / ENDED).read_text()) == {"code": 0}

    refused = dlrun("launch", "--slurm", "partition=none", "nodes=2", "--", "train", *SPREAD)
    assert refused.returncode == 2
    assert "Slurm refuses the job: invalid partition specified: none" in refused.stderr


@pytest.mark.trains
@pytest.mark.slow
def test_on_a_ray_cluster_of_two_machines(dlrun, monkeypatch):
    ray = str(Path(sys.executable).with_name("ray"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 32)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:  # short, for sockets
        monkeypatch.setenv("RAY_TMPDIR", place)
        own = ("--num-cpus=1", "--disable-usage-stats", "--block")
        nodes = [
            subprocess.Popen(
                [ray, "start", *which, *own], cwd=place, stdout=log, stderr=log, env=os.environ
            )
            for which, log in (
                (("--head", f"--port={port}", "--include-dashboard=false"), subprocess.DEVNULL),
                ((f"--address=127.0.0.1:{port}",), subprocess.DEVNULL),
            )
        ]
        status = [ray, "status", f"--address=127.0.0.1:{port}"]
        try:
            eventually(
                lambda: not subprocess.run(status, capture_output=True, check=False).returncode
            )
            train_and_stop(dlrun, "--ray", f"address=127.0.0.1:{port}", "nodes=2")
        finally:
            for node in reversed(nodes):
                node.terminate()
                node.wait(60)
