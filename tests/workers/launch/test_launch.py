"""dlrun launch: processes on several machines, here all of them this one, train one run."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import takewhile

import pytest

from conftest import eventually, slow_on
from dlrun.commands.launch import _parse as read_command
from dlrun.config.compose import compose, to_yaml
from dlrun.config.project import HERE
from dlrun.errors import DlrunError
from dlrun.workers.launch.head import Head
from dlrun.workers.launch.link import Link
from dlrun.workers.launch.node import join
from dlrun.workers.launch.plan import interface_of, make_plan, place_plan
from dlrun.workers.launch.run import Command, settle_run
from dlrun.workers.launch.run import launch as start_run
from launches import free_port, start_launchers, working_in
from trainings import worker

RUN = (
    "model=mnist_mlp_dropout", "data=sklearn", "data.name=digits", "data.limit=130",
    "batch_size=50", "device=cpu",
)  # fmt: skip
SPREAD = ("distribution=data_parallel",)
BACKENDS = ("torch", "jax")
CALLBACKS = """
import os
import re
import keras

class DiesOnce(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if keras.backend.backend() == "jax":
            os.write(1, b"connected\\n")  # as gloo does
        if epoch == 1 and os.environ.get("DLRUN_RANK") == "1" and not os.path.exists("died"):
            open("died", "w").close()
            os._exit(3)

class Hangs(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and os.environ.get("DLRUN_RANK") == "1":
            print("HANGS")
            import time
            time.sleep(600)

class FailsEverywhere(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        if "DLRUN_RANK" not in os.environ:
            import time
            time.sleep(2)
        raise ValueError("the table is empty")
"""


def launch(cwd, backend, *words, **options):
    """The launchers of a run, as processes."""
    (cwd / "my_callbacks.py").write_text(CALLBACKS)
    train = ("train", f"backend={backend}", *SPREAD, *RUN)
    return start_launchers(cwd, *train, *words, **options)


def torchrun(cwd, *words):
    """A run in two processes of torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", str(free_port()), "-m", "dlrun"]
    return subprocess.Popen(
        [*command, "train", "backend=torch", *SPREAD, "device.count=2", *words],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.trains
@pytest.mark.parametrize("backend", slow_on("jax", of=BACKENDS))
def test_two_machines_have_the_numbers_of_one_process_and_go_on_after_a_loss(tmp_path, backend):
    dies = "+callbacks.dies._target_=my_callbacks.DiesOnce"
    launchers = launch(tmp_path, backend, "epochs=2", dies, "--json", options=("--restarts", "1"))
    (out, told), (silent, _) = (launcher.communicate(timeout=200) for launcher in launchers)
    assert [launcher.returncode for launcher in launchers] == [0, 0], told
    assert silent == "" and working_in(tmp_path) == []
    assert out.startswith("{") and ("connected\n" in told) == (backend == "jax")
    host = socket.gethostname()
    assert f"error: rank 1 on {host}: its process ended with exit code 3" in told
    resume = "resume with: dlrun launch --nodes 2 ... --per-node 1 -- resume runs/"
    assert f"hint: the newest checkpoint is of epoch 1; {resume}" in told
    assert "restart 1 of 1: dlrun resume " in told
    assert "resume after epoch 1" in told
    alone = worker(backend).train(tmp_path, *RUN, "epochs=2")
    assert json.loads(out)["test"] == pytest.approx(alone["test"], rel=1e-5)


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("event", "code", "said"),
    [
        ("kill", 1, "rank 1 on {host}: its process was killed by SIGKILL"),
        ("stop", 1, "rank 1 on {host}: it was stopped, and did not go on for 20 s"),
        ("hang", 1, "rank 1 on {host}: no answer within 4 s (distribution.timeout)"),
        ("node", 1, "rank 1 on {host}: the connection was closed"),
        ("ctrl-c", 130, "interrupted"),
        ("scancel", 143, "interrupted; the newest checkpoint is of epoch"),
    ],
)
def test_what_is_lost_ends_the_run_everywhere_with_one_line(tmp_path, backend, event, code, said):
    hangs = ("+callbacks.hangs._target_=my_callbacks.Hangs", "distribution.timeout=4")
    launchers = launch(tmp_path, backend, "epochs=2000", *(hangs if event == "hang" else ()))
    lines = []
    for line in launchers[0].stderr:
        lines.append(line)
        if line.startswith("epoch  1/") or line.startswith("epoch     1/"):
            break
    [rank_1] = working_in(tmp_path, "DLRUN_RANK=1")
    act = {
        "kill": lambda: os.kill(rank_1, signal.SIGKILL),
        "stop": lambda: os.kill(rank_1, signal.SIGSTOP),
        "hang": lambda: None,
        "node": launchers[1].kill,
        "ctrl-c": lambda: launchers[1].send_signal(signal.SIGINT),
        # Slurm signals all processes of a job.
        "scancel": lambda: [os.kill(one, signal.SIGTERM) for one in working_in(tmp_path)],
    }
    start = time.monotonic()
    act[event]()
    _, rest = launchers[0].communicate(timeout=60)
    launchers[1].communicate(timeout=60)
    assert time.monotonic() - start < 60
    assert launchers[0].returncode == code and said.format(host=socket.gethostname()) in rest
    assert (", with a longer distribution.timeout if it" in rest) == (event == "hang")
    assert launchers[1].returncode == (-signal.SIGKILL if event == "node" else code)
    assert rest.count("error: ") == (1 if code == 1 else 0)
    assert working_in(tmp_path) == []


@pytest.mark.parametrize("late", ["0", "1"])
def test_what_all_processes_refuse_is_said_once_whichever_says_it_first(
    tmp_path, monkeypatch, late
):
    run = tmp_path / "run"
    run.mkdir()
    config = compose(["backend=torch", *SPREAD])
    net = {**config.model, "_target_": "my_net.net"}
    (run / "config.yaml").write_text(to_yaml(replace(config, model=net)))
    (run / "run.json").write_text('{"status": "interrupted"}')
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "if 'DLRUN_LAUNCH' in os.environ:\n"
        f"    time.sleep(2 * (os.environ.get('DLRUN_RANK', '0') == '{late}'))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    launchers = start_launchers(tmp_path, "resume", str(run))
    (_, told), (_, other) = (launcher.communicate(timeout=100) for launcher in launchers)
    assert [launcher.returncode for launcher in launchers] == [2, 2], (told, other)
    assert told.count("error: ") == 1 and "my_net.net, which is not trusted" in told
    assert told.count("hint: ") == 1 and "--trust my_net" in told


def test_a_machine_that_comes_by_mistake_is_refused_and_does_not_end_the_run(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "while 'DLRUN_LAUNCH' in os.environ and not os.path.exists('go'):\n"
        "    time.sleep(0.05)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    first, second = start_launchers(tmp_path, "resume", "none", options=("--restarts", "1"))
    keywords = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def refused(*command):
        done = subprocess.run(command, **keywords, check=False, timeout=60)
        assert done.returncode == 2
        return done.stderr

    try:
        eventually(lambda: working_in(tmp_path, "DLRUN_RANK=1"))
        assert "two machines are --node-rank 1" in refused(*second.args)
        assert "has command epochs=9" in refused(*second.args, "epochs=9")
        second.kill()
        second.communicate()
        told = list(takewhile(lambda line: not line.startswith("restart 1 of 1"), first.stderr))
        assert "has command epochs=8" in refused(*second.args, "epochs=8")
        second = subprocess.Popen(second.args, **keywords)
    finally:
        (tmp_path / "go").touch()
    _, other = second.communicate(timeout=100)
    with first:
        told += first.stderr
    assert [first.returncode, second.returncode] == [2, 2], (told, other)
    assert "error: no run directory at none\n" in told
    assert sum(line.endswith("it is refused, and the run goes on\n") for line in told) == 3


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_error_of_all_processes_is_said_once(tmp_path, backend):
    fails = "+callbacks.fails._target_=my_callbacks.FailsEverywhere"
    launchers = launch(tmp_path, backend, "epochs=1", fails, options=("--restarts", "1"))
    (_, told), _ = (launcher.communicate(timeout=100) for launcher in launchers)
    assert [launcher.returncode for launcher in launchers] == [1, 1], told
    assert told.count("error: ") == 1 and "error: the run failed: ValueError: the table" in told
    assert told.count("hint: ") == 1 and "restart" not in told


def plan(*words, nodes=1, per_node=1, node_rank=None, master=None):
    made = make_plan(words or ("train",), nodes=nodes, per_node=per_node, restarts=0, timeout=1.0)
    return place_plan(made, node_rank=node_rank, master=master)


@pytest.mark.trains
@pytest.mark.slow
def test_processes_of_torchrun_have_the_numbers_of_one_and_read_the_data_once(tmp_path):
    (tmp_path / "my_data.py").write_text(
        "import numpy as np, os\n"
        "def make():\n"
        "    with open('read', 'a') as file:\n"
        "        file.write(os.environ.get('RANK', 'alone') + ' ')\n"
        "    images = np.random.default_rng(0).normal(size=(230, 6)).astype('float32')\n"
        "    return images, (images.sum(1) > 0).astype('int32')\n"
    )
    words = (
        *("data=function", "data.function=my_data.make", "model=mnist_mlp", "model.units=8"),
        *("task=classification", "batch_size=51", "epochs=2", "device=cpu", "loop=raw"),
    )
    started = torchrun(tmp_path, *words, "--json")
    out, told = started.communicate(timeout=200)
    assert started.returncode == 0, told
    assert (tmp_path / "read").read_text() == "0 "
    alone = worker("torch").train(tmp_path, *words)
    assert json.loads(out)["test"] == pytest.approx(alone["test"], rel=1e-5)


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "status", "said"),
    [
        ("kill", "failed", "error: rank 1: the connection was closed; torchrun says which"),
        ("interrupt", "interrupted", "interrupted; the newest checkpoint is of epoch "),
    ],
)
def test_what_ends_under_torchrun_is_said_in_one_line(tmp_path, event, status, said):
    started = torchrun(tmp_path, *RUN, "epochs=2000", "loop=raw")
    while not re.match(r"epoch +1/", line := started.stderr.readline()):
        assert line
    if event == "kill":
        [rank_1] = working_in(tmp_path, "RANK=1")
        os.kill(rank_1, signal.SIGKILL)
    else:
        started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert said in told and "resume with: dlrun resume runs/" in told
    assert told.count("error: ") == (event == "kill")
    [record] = (tmp_path / "runs").rglob("run.json")
    assert json.loads(record.read_text())["status"] == status
    assert working_in(tmp_path) == []


def test_a_plan_numbers_the_processes_and_gives_each_run_its_devices():
    of_two = plan("train", "seed=1", nodes=2, per_node=3, node_rank=1, master="127.0.0.1:5")
    assert of_two.words == ("train", "seed=1", "device.count=6")
    assert list(of_two.ranks_of(1)) == [3, 4, 5] and of_two.port == 5
    assert plan("resume", "latest", per_node=2).words == ("resume", "latest", "device.count=2")
    assert interface_of("127.0.0.1") == "lo"


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (("trian",), {}, "dlrun launch starts dlrun train or resume, got dlrun trian"),
        ((), {"nodes": 2, "node_rank": 0}, "--nodes 2: --master HOST:PORT is missing"),
        ((), {"nodes": 2, "master": "127.0.0.1:5"}, "--nodes 2: --node-rank is missing"),
        ((), {"nodes": 2, "node_rank": 2, "master": "127.0.0.1:5"}, "--node-rank 2: --nodes 2"),
        ((), {"nodes": 2, "node_rank": 0, "master": "127.0.0.1"}, "expected HOST:PORT"),
        ((), {"node_rank": 1}, "SLURM_NODEID go with --nodes"),
        (("train", "device.count=3"), {"per_node": 2}, "--per-node 2 starts 2 processes"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, options, said):
    with pytest.raises(DlrunError) as refused:
        plan(*words, **options)
    assert said in refused.value.message and refused.value.exit_code == 2


@pytest.mark.parametrize("command", ["evaluate", "predict", "parity", "sweep"])
def test_what_needs_no_launcher_is_refused_with_what_to_type(command):
    with pytest.raises(DlrunError, match=f"starts dlrun train or resume, got dlrun {command}") as e:
        plan(command)
    assert e.value.exit_code == 2 and e.value.hint.startswith(f"dlrun {command} ")


@pytest.mark.parametrize("words", [("resume",), ("resume", "--json"), ("resume", "--quiet")])
def test_a_resume_of_no_run_does_not_take_the_number_of_devices_for_one(dlrun, words):
    done = dlrun.here("launch", "--per-node", "2", "--", *words)
    assert done.returncode == 2 and "dlrun resume: missing argument RUN" in done.stderr


@pytest.mark.parametrize(
    ("words", "settled"),
    [
        ("resume --quiet latest epochs=3", "resume --quiet runs/mlp/new epochs=3"),
        ("resume --trust latest latest", "resume --trust latest runs/mlp/new"),
        ("resume latest --trust=latest", "resume runs/mlp/new --trust=latest"),
        ("resume --runs-dir mine latest", "resume --runs-dir mine mine/mlp/own"),
        ("resume latest name=latest", "resume runs/mlp/new name=latest"),
        ("train --from latest epochs=3", "train --from runs/mlp/new epochs=3"),
        ("train --from=latest name=latest", "train --from=runs/mlp/new name=latest"),
        ("train name=latest --from latest", "train name=latest --from runs/mlp/new"),
        ("train --from latest runs_dir=mine", "train --from mine/mlp/own runs_dir=mine"),
        ("train --from runs/mlp/old", "train --from runs/mlp/old"),
        ("resume runs/mlp/old", "resume runs/mlp/old"),
        ("train name=latest", "train name=latest"),
    ],
)
def test_the_newest_run_is_that_of_the_start_also_after_a_restart(
    tmp_path, monkeypatch, words, settled
):
    monkeypatch.chdir(tmp_path)
    for number, run in enumerate(("runs/mlp/old", "runs/mlp/new", "mine/mlp/own")):
        (folder := tmp_path / run).mkdir(parents=True)
        for name in ("config.yaml", "run.json"):
            (folder / name).write_text("{}")
            os.utime(folder / name, (number, number))
    typed = plan(*words.split(), per_node=2)
    found = settle_run(typed, read_command(*typed.words), read_command)
    assert found == replace(typed, words=(*settled.split(), "device.count=2"))


def test_the_processes_of_a_resume_of_the_newest_run_are_given_its_path(dlrun, monkeypatch):
    (folder := dlrun.cwd / "runs/mlp/new").mkdir(parents=True)
    for name in ("config.yaml", "run.json"):
        (folder / name).write_text("{}")
    launched = []
    monkeypatch.setattr(
        "dlrun.workers.launch.run.launch", lambda plan, command: launched.append(plan) or 0
    )
    done = dlrun.here("launch", "--per-node", "2", "--", "resume", "latest")
    assert done.returncode == 0, done.stderr
    assert [plan.words for plan in launched] == [("resume", "runs/mlp/new", "device.count=2")]


LOSES = """
import os, sys, time
if "DLRUN_LAUNCH" in os.environ:
    if os.environ.get("DLRUN_RANK", "0") == "1":
        time.sleep(60)
    from dlrun.system.ranks import started_outside
    print("error:", started_outside().explain(RuntimeError("Timed out"), 3.0), file=sys.stderr)
    os._exit(1)
"""


def test_a_process_without_an_answer_is_named_with_the_time_that_the_others_waited(dlrun):
    (dlrun.cwd / "sitecustomize.py").write_text(LOSES)
    words = ("launch", "--per-node", "2", "--", "resume", "none")
    done = dlrun(*words, env={"PYTHONPATH": str(dlrun.cwd)}, timeout=50)
    no_answer = "no answer within 3 s (distribution.timeout)"
    assert done.returncode == 1
    assert done.stderr == f"error: rank 1 on {socket.gethostname()}: {no_answer}\n"
    assert working_in(dlrun.cwd) == []


MEETS = """
import os, sys, time
from dlrun.system.launch_environment import Launcher
from dlrun.system.ranks import Group

launcher = Launcher(os.open(os.devnull, os.O_WRONLY), 0)
group = Group(0, 0, 2, "127.0.0.1:5", [], 2, launcher=launcher)
if sys.argv[1] == "before":
    launcher.wait_for_reason(60)
with group.meeting():
    print("meets", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("told", ["before", "meanwhile"])
def test_a_process_that_waits_for_one_that_is_lost_ends_at_once(told):
    with subprocess.Popen(
        [sys.executable, "-c", MEETS, told], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            if told == "meanwhile":
                assert process.stdout.readline() == b"meets\n"
            process.stdin.write(b'{"reason": "rank 1 was killed"}\n')
            process.stdin.flush()
            assert process.wait(timeout=10) == 1  # of the 60 s that the meeting would take
        finally:
            process.kill()


def pair(**other):
    """Node 0 and what node 1 tells it."""
    options = {"nodes": 2, "node_rank": 0, "master": f"127.0.0.1:{free_port()}"}
    head = plan("train", "seed=1", **options)
    return head, {**head.hello(), "node": 1, **other}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"command": "train seed=2 device.count=2"}, "has command seed=2, node 0 has seed=1"),
        ({"--per-node": 4}, "has --per-node 4, node 0 has 1"),
        ({"node": 0}, "two machines are --node-rank 0"),
        (None, "node 1 of 2 has not come to 127.0.0.1:"),
    ],
)
def test_machines_that_do_not_come_or_differ_are_named(other, said):
    first, hello = pair(**(other or {}))
    head = Head(first, [])

    def tell():
        with socket.create_connection((first.host, first.port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")  # is left aside
        if other is not None:
            link = Link(socket.create_connection((first.host, first.port)))
            link.send(**hello)
            time.sleep(0.3)
            link.close()

    node = threading.Thread(target=tell)
    node.start()
    with pytest.raises(DlrunError) as refused:
        head.run()
    node.join()
    assert said in refused.value.message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_on_any_machine_ends_the_wait_for_the_others(number):
    options = {"nodes": 3, "node_rank": 0, "master": f"127.0.0.1:{free_port()}"}
    first = replace(plan("train", **options), timeout=60.0)
    head = Head(first, [])
    link = Link(socket.create_connection((first.host, first.port)))
    link.send(**{**first.hello(), "node": 1})
    link.send(event="signal", number=int(number))
    assert head.run() == 128 + number
    assert [message["done"] for message in link.read()] == [128 + number]
    link.close()
    # Its own.
    assert Head(first, [int(number)]).run() == 128 + number
    assert join(replace(first, node=1), [int(number)]) == 128 + number


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["backend=jax", "distribution=model_parallel"], "takes one process"),
        (["backend=tensorflow", "distribution=data_parallel"], "TensorFlow's server would run the"),
        (["backend=jax", "distribution=data_parallel", "batch_size=1"], "batch_size=1: must be at"),
        (["backend=torch"], "2 devices need a distribution"),
    ],
)
def test_a_run_of_one_process_needs_no_launcher(typed, said):
    of_two = plan("train", *typed, per_node=2)
    with pytest.raises(DlrunError, match=said) as refused:
        start_run(of_two, Command("train", of_two.words[1:], HERE))
    assert refused.value.exit_code == 2
