import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import COMMAND, eventually, slow_on
from dlrun.system.process import cores
from launches import slurm_nodes, working_in

MODEL = """
import os, pathlib, signal
import keras

def spy(input_shape, num_classes):
    if pathlib.Path("broken").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    ran = pathlib.Path("ran", str(os.getpid()))
    ran.parent.mkdir(exist_ok=True)
    names = ("OMP_NUM_THREADS", "NPROC", "CUDA_VISIBLE_DEVICES")
    budget = {name: os.environ.get(name) for name in names}
    ran.write_text(f"{keras.backend.backend()} {budget} {os.sched_getaffinity(0)}")
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(keras.layers.Flatten()(inputs)))
"""


@pytest.fixture
def own_model(dlrun):
    (dlrun.cwd / "my_models.py").write_text(MODEL)
    (dlrun.cwd / "configs/model").mkdir(parents=True)
    (dlrun.cwd / "configs/model/spy.yaml").write_text("_target_: my_models.spy\n")


def run_sweep(dlrun, *arguments):
    """The sweep's ``--json``, and what each process had imported and its cores and threads."""
    ran = dlrun.cwd / "ran"
    before = set(ran.glob("*"))
    result = dlrun.json("sweep", "smoke=true", "model=spy", *arguments)
    return result, sorted(file.read_text() for file in set(ran.glob("*")) - before)


# Of submitit, jobs of a Slurm are tested below.
@pytest.mark.parametrize(
    "launcher", slow_on("ray", "submitit_local", of=("joblib", "ray", "submitit_local"))
)
def test_each_run_has_its_backend_and_equals_a_run_in_a_worker(
    dlrun, own_model, monkeypatch, launcher
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # which Ray would set for its workers
    # One at a time: joblib runs both jobs in one process, whose state must not reach the runs.
    overrides = ("backend=torch,jax", "--jobs", 1)
    expected_result, started = run_sweep(dlrun, *overrides)
    assert [text.partition(" ")[0] for text in started] == ["jax", "torch"]
    result, processes = run_sweep(dlrun, *overrides, "--launcher", launcher)
    assert processes == started
    for run, expected in zip(result["runs"], expected_result["runs"], strict=True):
        record = dlrun.record(dlrun.path(run))
        assert record["status"] == "completed"
        assert record["backend"] == run["differs"]["backend"]
        for split in ("train", "validation", "test"):
            assert record[split] == expected[split], record["backend"]
    assert [run["run_dir"][-1] for run in result["ranking"]] == [
        run["run_dir"][-1] for run in expected_result["ranking"]
    ]
    assert (dlrun.cwd / result["sweep_dir"] / "leaderboard.csv").is_file()


@pytest.mark.slow
def test_a_killed_run_fails_alone_and_any_launcher_resumes_it(dlrun, own_model):
    (dlrun.cwd / "broken").touch()
    done = dlrun(
        *("sweep", "backend=jax", "smoke=true", "model=mnist_mlp,spy", "--jobs", 2),
        *("--launcher", "ray", "--json"),
    )
    assert done.returncode == 1
    result = dlrun.parse(done.stdout)
    completed, killed = result["runs"]
    assert (completed["status"], killed["status"]) == ("completed", "failed")
    assert "killed by SIGKILL" in killed["error"]
    assert dlrun.record(dlrun.path(killed))["status"] == "failed"

    (dlrun.cwd / "broken").unlink()
    before = dlrun.record(dlrun.path(completed))
    resumed = dlrun.json("sweep", "--resume", result["sweep_dir"], "--launcher", "joblib")
    assert resumed["completed"] == 2
    assert dlrun.record(dlrun.path(completed)) == before  # it did not run again


def command_of(process):
    return Path(f"/proc/{process}/cmdline").read_text()


@pytest.mark.slow
def test_a_killed_sweep_leaves_nothing_of_ray(dlrun, monkeypatch):
    endless = ("epochs=100000", "callbacks.early_stopping.patience=100000")
    arguments = ("sweep", "backend=jax", "smoke=true", *endless, "--launcher", "ray")
    with tempfile.TemporaryDirectory() as place:  # a short path, as for sockets
        monkeypatch.setenv("RAY_TMPDIR", place)
        sweep = subprocess.Popen([COMMAND, *arguments], cwd=dlrun.cwd, stderr=subprocess.PIPE)
        eventually(lambda: list(dlrun.cwd.glob("runs/sweeps/*/0/metrics.csv")))
        assert "raylet" in "".join(map(command_of, working_in(dlrun.cwd)))
        sweep.kill()
        sweep.communicate()
        eventually(lambda: not working_in(dlrun.cwd), 30)
        assert not list(Path(place).iterdir())
    [run] = dlrun.cwd.glob("runs/sweeps/*/0")
    assert dlrun.record(run)["status"] == "interrupted"


@contextmanager
def ray_cluster(cwd: Path, place: str, patch):
    """A cluster of one machine; yields a function from cores to the options that request them."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    for name, value in {"MODE": "token", "TOKEN": "a" * 32}.items():
        patch.setenv(f"RAY_AUTH_{name}", value)
    patch.setenv("RAY_TMPDIR", place)
    start = f"start --head --block --port={port} --num-cpus=3 --include-dashboard=false"
    with (cwd / "ray.log").open("w+") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), *start.split(), "--disable-usage-stats"],
            cwd=cwd,
            stdout=log,
            stderr=log,
        )
        try:
            eventually(lambda: "Ray runtime started" in (cwd / "ray.log").read_text())
            yield lambda cores: (
                *("--launcher", "ray", "--launcher-option", f"ray.init.address=127.0.0.1:{port}"),
                *("--launcher-option", f"ray.remote.num_cpus={cores}"),
            )
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.slow
def test_on_a_ray_cluster_a_run_uses_its_allotted_cores(dlrun, own_model, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (
        tempfile.TemporaryDirectory() as place,
        ray_cluster(dlrun.cwd, place, monkeypatch) as options_for,
    ):
        result, [process] = run_sweep(dlrun, "backend=jax", *options_for(3))
        assert result["completed"] == 1
        assert "'OMP_NUM_THREADS': '3', 'NPROC': '3'" in process

        waiting = subprocess.Popen(
            [COMMAND, "sweep", "backend=jax", "smoke=true", *options_for(4)],
            cwd=dlrun.cwd,
            stderr=subprocess.PIPE,
            text=True,
        )
        logs = "runs/sweeps/*/workers/launches/*/launcher.log"
        connected = "Connected to Ray cluster"
        eventually(lambda: sum(connected in log.read_text() for log in dlrun.cwd.glob(logs)) == 2)
        waiting.send_signal(signal.SIGINT)
        _, stderr = waiting.communicate(timeout=60)
        assert waiting.returncode == 130
        assert "resume with: dlrun sweep --resume" in stderr
    eventually(lambda: not working_in(dlrun.cwd))


# A Slurm of one machine, whose node is lost while it runs the first of two jobs.
SLURM = {
    "sbatch": f"""#!{sys.executable}
import os, re, subprocess, sys
script = open(sys.argv[-1]).read()
open("script", "w").write(script)
assert re.search("--array=0-1%1", script)
print("Submitted batch job 5", flush=True)
lost = dict(SLURM_JOB_ID="5", SLURM_ARRAY_JOB_ID="5", SLURM_ARRAY_TASK_ID="1", SLURM_NTASKS="1",
            SLURM_JOB_NUM_NODES="1", SLURM_NODEID="0", SLURM_PROCID="0", SLURM_LOCALID="0",
            SLURM_JOB_NODELIST="here", SLURM_CPUS_ON_NODE="1")
subprocess.Popen(["bash", sys.argv[-1]], env={{**os.environ, **lost}}, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL)
""",
    "srun": """#!/bin/bash
while [[ $1 == --* ]]; do [[ $1 == --unbuffered ]] && shift || shift 2; done
exec "$@"
""",
    "sacct": """#!/bin/bash
printf 'JobID|State|NodeList\\n5_0|NODE_FAIL|here\\n5_1|RUNNING|here\\n'
""",
}


@pytest.mark.slow
def test_slurm_gets_the_typed_options_and_a_lost_job_fails_alone(dlrun, own_model):
    places = dlrun.cwd / "bin"
    places.mkdir()
    for name, text in SLURM.items():
        (places / name).write_text(text)
        (places / name).chmod(0o755)
    done = dlrun(
        *("sweep", "backend=jax", "smoke=true", "seed=1,2", "model=spy", "--jobs", 1, "--json"),
        *("--launcher", "submitit_slurm", "--launcher-option", "partition=gpu"),
        *("--launcher-option", "timeout_min=90", "--launcher-option", "gres=gpu:1"),
        env={"PATH": f"{places}{os.pathsep}{os.environ['PATH']}"},
    )
    script = (dlrun.cwd / "script").read_text()
    for line in ("--partition=gpu", "--time=90", "--gres=gpu:1", "--job-name=dlrun"):
        assert f"#SBATCH {line}\n" in script
    assert done.returncode == 1, done.stderr
    lost, completed = dlrun.parse(done.stdout)["runs"]
    assert (lost["status"], completed["status"]) == ("failed", "completed")
    assert "submitit_slurm lost it" in lost["error"]
    assert "NODE_FAIL" in Path(dlrun.cwd, lost["error"].rpartition("see ")[2]).read_text()
    [ran] = [file.read_text() for file in (dlrun.cwd / "ran").iterdir()]
    assert "'NPROC': '1'" in ran or cores() == 1, "no more threads than allotted cores"


@pytest.mark.slow  # Slurm waits for two minutes before it starts a requeued job
@pytest.mark.skipif(not slurm_nodes(), reason="needs a Slurm with two cores")
def test_on_a_real_slurm(dlrun, own_model):
    two = ("backend=jax,torch", "--jobs", 2)
    expected_result, _ = run_sweep(dlrun, *two)
    result, processes = run_sweep(dlrun, *two, "--launcher", "submitit_slurm")
    assert [text.partition(" ")[0] for text in processes] == ["jax", "torch"]
    for run, expected in zip(result["runs"], expected_result["runs"], strict=True):
        assert run["test"] == expected["test"], "bit for bit, with one thread each"

    endless = ("epochs=100000", "callbacks.early_stopping.patience=100000", "seed=1,2,3")
    endless += ("runs_dir=endless",)
    arguments = ("sweep", "backend=jax", "smoke=true", *endless, "--jobs", "2")
    sweep = subprocess.Popen(
        [COMMAND, *arguments, "--launcher", "submitit_slurm"],
        cwd=dlrun.cwd,
        stderr=subprocess.PIPE,
        text=True,
    )
    runs = "endless/sweeps/*/{}/metrics.csv"
    eventually(lambda: list(dlrun.cwd.glob(runs.format(0))))
    jobs = subprocess.run(
        ["squeue", "-r", "-h", "-o", "%i"], capture_output=True, text=True, check=True
    )
    first = next(job for job in jobs.stdout.split() if job.endswith("_0"))
    subprocess.run(["scancel", first], check=True)
    eventually(lambda: list(dlrun.cwd.glob(runs.format(2))))  # it takes the free place
    # A preempted job is queued again, and resumes from its checkpoint.
    second = next(job for job in jobs.stdout.split() if job.endswith("_1"))
    eventually(lambda: len(list(dlrun.cwd.glob("endless/sweeps/*/1/checkpoints/epoch-*"))) > 1)
    subprocess.run(["scancel", "-s", "USR2", second], check=True)
    [record] = dlrun.cwd.glob("endless/sweeps/*/1/run.json")
    eventually(lambda: "resumed" in dlrun.record(record.parent), 240)
    sweep.send_signal(signal.SIGINT)
    _, stderr = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "failed: its process received SIGTERM from elsewhere" in stderr
    assert stderr.count("interrupted\n") == 2
    [directory] = dlrun.cwd.glob("endless/sweeps/*/2")
    assert dlrun.record(directory)["status"] == "interrupted"
    eventually(lambda: not working_in(dlrun.cwd))


def test_invalid_launcher_options_are_reported_before_anything_starts(dlrun):
    def error(*arguments, dlrun=dlrun.here, **options):
        done = dlrun("sweep", "backend=jax", "seed=1,2", *arguments, **options)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert "did you mean joblib?" in error("--launcher", "jobllib")
    mistyped = error("--launcher", "submitit_local", "--launcher-option", "timeout_mins=3")
    assert "did you mean timeout_min?" in mistyped
    assert "--jobs" in error("--launcher", "joblib", "--launcher-option", "n_jobs=3")
    assert "--jobs" in error("--launcher", "ray", "--launcher-option", "ray.init.num_cpus=3")
    alone = error("--launcher", "ray", "--launcher-option", "ray.remote.num_gpus=1")
    assert "--launcher-option ray.init.address" in alone
    without = "import sys; sys.modules['joblib'] = None; from dlrun.cli import main; main()"
    missing = error("--launcher", "joblib", dlrun=dlrun, command=[sys.executable, "-c", without])
    assert "--launcher joblib is not installed" in missing
    assert "pip install 'dlrun[joblib]'" in missing
    assert not (dlrun.cwd / "runs").exists()


def test_train_m_is_sweep(dlrun):
    typed = ("backend=jax", "seed=1,2", "smoke=true")
    result = dlrun.json("train", "-m", *typed, "--jobs", "1", "--export-keras")
    assert result["completed"] == 2
    assert result["keys"] == ["seed"]
    assert all((dlrun.path(run) / "model.keras").is_file() for run in result["runs"])
