"""Runs in a bucket of a real S3 server: training, and everything that reads a run, elsewhere."""

import hashlib
import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import BUCKET, Connection, Server, environment, serve
from conftest import COMMAND, Dlrun
from trainings import worker

RUNS = f"s3://{BUCKET}/runs"
SMALL = ("model.units=16", "data.limit=500", "~callbacks.early_stopping")
pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


class Machine:
    """A process of torch that stays, with working copies of its own."""

    def __init__(self, server: Server, cwd: Path) -> None:
        self.server, self.dlrun = server, Dlrun(cwd)
        self.names = list(server.environment(cwd))

    def become(self, name: str) -> None:
        """Another machine from here on."""
        home = self.dlrun.cwd / name
        values = self.server.environment(home)
        script = f"import os; os.environ.update({values!r})"
        worker("torch").run(self.dlrun.cwd, script)

    def forget(self) -> None:
        script = f"import os; [os.environ.pop(name, None) for name in {self.names!r}]"
        worker("torch").run(self.dlrun.cwd, script)

    def typed(self, *words: str) -> tuple[int, str, str]:
        return tuple(worker("torch").command(self.dlrun.cwd, list(words)))


@pytest.fixture(scope="module")
def machine(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    there = Machine(server, tmp_path_factory.mktemp("machine"))
    there.become("first")
    yield there
    there.forget()


@pytest.fixture(scope="module")
def result(machine: Machine) -> dict:
    """The result of a run of three epochs."""
    return machine.dlrun.warm("torch", "train", *SMALL, "epochs=3", f"runs_dir={RUNS}")


def arrays(files: dict[str, bytes]) -> dict[str, bytes]:
    """What checkpoints hold, by their names."""
    return {k.rpartition("checkpoints/")[2]: v for k, v in files.items() if k.endswith(".npz")}


def test_a_run_is_in_the_bucket_as_it_is_in_its_folder(result: dict, machine: Machine) -> None:
    assert result["run_dir"].startswith(f"{RUNS}/mnist_mlp/")
    prefix = result["run_dir"].removeprefix(f"s3://{BUCKET}/")
    files = {k.removeprefix(f"{prefix}/"): v for k, v in machine.server.files(prefix).items()}
    [here] = (machine.dlrun.cwd / "first").rglob("run.json")
    folder = here.parent
    local = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in local} == {
        name: data for name, data in files.items() if name != ".writer.json"
    }
    assert json.loads(files["run.json"])["run_dir"] == result["run_dir"]
    assert json.loads(files[".writer.json"])["ended"] is True
    assert not any(b"testing" in data for data in files.values()), "credentials are not stored"


def test_another_machine_lists_evaluates_and_resumes_it_to_the_bit(
    result: dict, machine: Machine
) -> None:
    run, dlrun = result["run_dir"], machine.dlrun
    machine.become("second")
    code, out, _ = machine.typed("runs", RUNS, "--json")
    [listed] = json.loads(out)["runs"]
    assert (code, listed["run_dir"], listed["status"]) == (0, run, "completed")
    evaluated = dlrun.warm("torch", "evaluate", "latest", "--runs-dir", RUNS)
    assert evaluated["run_dir"] == run
    assert evaluated["metrics"] == pytest.approx(result["test"], rel=1e-6)
    assert len(list((dlrun.cwd / "second").rglob("arrays.npz"))) == 1  # the best, of two
    again = dlrun.warm("torch", "resume", run, "epochs=5")
    straight = dlrun.warm("torch", "train", *SMALL, "epochs=5", f"runs_dir={dlrun.cwd}/local")
    wanted = {
        p.relative_to(p.parents[1]).as_posix(): p.read_bytes()
        for p in Path(straight["run_dir"]).rglob("*.npz")
    }
    assert arrays(machine.server.files(run.removeprefix(f"s3://{BUCKET}/"))) == wanted
    assert again["test"] == straight["test"]
    # The first machine has an older copy.
    machine.become("first")
    shown = dlrun.warm("torch", "evaluate", run, "--checkpoint", "5")
    assert (shown["epoch"], shown["run_dir"]) == (5, run)


def test_results_that_are_files_need_a_place_here(result: dict, machine: Machine) -> None:
    machine.become("first")
    for command in ("predict", "report", "export"):
        code, _, error = machine.typed(command, result["run_dir"])
        assert code == 2
        assert "say where on this machine to write the result" in error
    done = machine.dlrun.warm("torch", "predict", result["run_dir"], "--output", "p.npz")
    assert (machine.dlrun.cwd / "p.npz").is_file() and done["samples"] == 500
    code, _, error = machine.typed("rename", result["run_dir"], "baseline")
    assert (code, "needs a folder of this machine" in error) == (2, True)


def test_a_bucket_that_is_not_there_starts_nothing(machine: Machine) -> None:
    machine.become("first")
    code, _, error = machine.typed("train", *SMALL, "runs_dir=s3://nowhere/runs", "backend=torch")
    assert code == 2
    assert error.startswith("error: runs_dir: s3://nowhere/runs can't be reached: ")
    assert "AWS_ENDPOINT_URL" in error
    assert not list((machine.dlrun.cwd / "first").rglob("nowhere"))


def test_a_run_that_is_written_elsewhere_is_not_resumed(result: dict, machine: Machine) -> None:
    key = result["run_dir"].removeprefix(f"s3://{BUCKET}/") + "/.writer.json"
    lease = {"host": "another", "pid": 17, "time": time.time(), "ended": False}
    client = machine.server.client()
    client.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(lease).encode())
    code, _, error = machine.typed("resume", result["run_dir"], "epochs=9")
    assert code == 2
    assert "is being written by process 17 on another" in error
    late = json.dumps(lease | {"time": time.time() - 1000}).encode()
    client.put_object(Bucket=BUCKET, Key=key, Body=late)
    code, _, error = machine.typed("resume", result["run_dir"])  # it has nothing left to do
    assert code == 0, error


def checked(files: dict[str, bytes]) -> list[int]:
    """The epochs of the checkpoints in a bucket; all of them are whole, and the best is there."""
    files = {name.partition("/checkpoints/")[2]: data for name, data in files.items()}
    epochs = {}
    for name in [name for name in files if name.endswith("manifest.json")]:
        folder = name.partition("/")[0]
        manifest = json.loads(files[name])
        for part, digest in manifest["files"].items():
            assert hashlib.sha256(files[f"{folder}/{part}"]).hexdigest() == digest, name
        lines = files["history.jsonl"][: manifest["history"]["bytes"]]
        assert hashlib.sha256(lines).hexdigest() == manifest["history"]["sha256"], name
        epochs[manifest["epochs"]] = json.loads(files[f"{folder}/state.json"])["best"]["epoch"]
    assert not epochs or epochs[max(epochs)] in epochs
    return sorted(epochs)


@pytest.mark.slow
def test_kills_in_uploads_on_three_machines_lose_no_checkpoint_and_no_bit(
    server: Server, tmp_path: Path
) -> None:
    place, generator = f"s3://{BUCKET}/kills", random.Random(0)
    words = ["model.units=256", "data.limit=1000", "epochs=10", "backend=torch"]
    words += ["~callbacks.early_stopping", "callbacks.checkpoint.every_seconds=0"]
    slow, newest, run = Connection(server.port, 4e6), [], None
    for number in range(13):
        env = environment(server, tmp_path / f"machine-{number % 3}", slow.port)
        typed = ["resume", run] if run else ["train", *words, f"runs_dir={place}"]
        process = subprocess.Popen(
            [COMMAND, *typed], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
        )
        if number < 12:
            for line in process.stderr:
                if line.startswith("epoch"):
                    time.sleep(generator.uniform(0, 3))
                    process.kill()
        _, said = process.communicate()
        epochs = checked(server.files("kills/"))
        assert not newest or (epochs and epochs[-1] >= newest[-1]), said
        newest = epochs
        keys = [key for key in server.files("kills/") if key.endswith("run.json")]
        run = f"s3://{BUCKET}/{keys[0].rpartition('/')[0]}" if keys else None
    assert process.returncode == 0, said
    straight = Dlrun(tmp_path).json("train", *words)
    wanted = Path(tmp_path, straight["run_dir"]).rglob("*.npz")
    found = arrays(server.files("kills/"))
    assert found == {f"{path.parent.name}/{path.name}": path.read_bytes() for path in wanted}
    slow.close()


@pytest.mark.slow
def test_a_lost_connection_stops_no_training_and_push_sends_what_is_left(
    server: Server, tmp_path: Path
) -> None:
    place, connection = f"s3://{BUCKET}/lost", Connection(server.port)
    env = environment(server, tmp_path / "here", connection.port)
    words = ["train", *SMALL, "epochs=6", "backend=torch", f"runs_dir={place}", "--json"]
    process = subprocess.Popen(
        [COMMAND, *words],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("epoch  2/"):
            connection.lose()
            break
    out, error = process.communicate()
    assert process.returncode == 1
    result = json.loads(out)
    assert result["status"] == "completed"
    assert f"of {result['run_dir']}\n\nhint: dlrun push {result['run_dir']}" in error
    assert "Traceback" not in error
    connection.restore()
    dlrun = Dlrun(tmp_path)
    sent = dlrun.json("push", place, env=env)
    assert sent["runs"][0]["files"] > 0
    assert 6 in checked(server.files("lost/"))
    other = {**env, "DLRUN_REMOTE": str(tmp_path / "there")}
    [listed] = dlrun.json("runs", place, env=other)["runs"]
    assert listed["test"] == result["test"]
    connection.close()


@pytest.mark.slow
def test_a_sweep_in_a_bucket_is_resumed_elsewhere(server: Server, tmp_path: Path) -> None:
    place, dlrun = f"s3://{BUCKET}/swept", Dlrun(tmp_path)
    env = environment(server, tmp_path / "here")
    words = ["sweep", *SMALL, "backend=torch", "epochs=2", "seed=1,2,3", f"runs_dir={place}"]
    process = subprocess.Popen(
        [COMMAND, *words, "--jobs", "1"], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL
    )

    def done() -> int:
        files = server.files("swept/")
        records = [json.loads(v) for k, v in files.items() if k.endswith("/run.json")]
        return sum(record["status"] == "completed" for record in records)

    while done() == 0:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(5)  # a worker that was left ends at the end of its batch
    [key] = [key for key in server.files("swept/") if key.endswith("sweep.json")]
    sweep = f"s3://{BUCKET}/{key.rpartition('/')[0]}"
    other = {**env, "DLRUN_REMOTE": str(tmp_path / "there")}
    result = dlrun.json("sweep", "--resume", sweep, env=other)
    assert (result["sweep_dir"], result["completed"]) == (sweep, 3)
    assert done() == 3
