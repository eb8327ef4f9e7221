"""Evaluating finished runs, on their own backend and on others."""

import csv
import json

import pytest
import yaml

from dlrun.api.gates import OVER, UNDER, directions, parse_gate
from dlrun.config.schema import Task

# Each backend's run is evaluated on another, and each backend evaluates a run of another.
PAIRS = [
    *[("jax", backend) for backend in ("jax", "tensorflow", "torch", "numpy")],
    *[("tensorflow", backend) for backend in ("torch", "numpy")],
    *[("torch", backend) for backend in ("tensorflow", "numpy")],
]


@pytest.mark.parametrize(("trained_on", "backend"), PAIRS)
def test_run_has_the_same_metrics_on_every_backend(trained, dlrun, trained_on, backend):
    result = dlrun.warm(backend, "evaluate", trained.run(trained_on))
    assert list(result) == [
        *("run_dir", "checkpoint", "epoch", "backend", "split", "samples", "metrics", "figures")
    ]
    assert result["run_dir"] == str(trained.run(trained_on))
    assert (result["checkpoint"], result["backend"]) == ("best", backend)
    assert (result["split"], result["samples"]) == ("test", 3000)
    assert list(result["metrics"]) == ["loss", "accuracy"]
    assert result["metrics"] == pytest.approx(trained.result(trained_on)["test"], abs=1e-5)


def test_evaluation_leaves_the_run_as_it_was(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    dlrun.warm("jax", "evaluate", run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_validation_split_has_the_metrics_of_the_training_log(trained, dlrun):
    run = trained.run("jax")
    result = dlrun.warm("jax", "evaluate", run, "--split", "validation", "--checkpoint", "last")
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert (result["split"], result["epoch"]) == ("validation", 4)
    assert result["metrics"]["loss"] == pytest.approx(float(last["val_loss"]), abs=1e-5)
    assert result["metrics"]["accuracy"] == pytest.approx(float(last["val_accuracy"]), abs=1e-5)


def test_limit_and_split_choose_the_samples(trained, dlrun):
    result = dlrun.warm(
        "jax", "evaluate", trained.run("jax"), "data.limit=1234", "--split", "train"
    )
    assert (result["split"], result["samples"]) == ("train", 1234)
    assert result["metrics"]["accuracy"] > trained.result("jax")["test"]["accuracy"]


def test_a_split_beside_data_of_the_users_own_is_refused(trained, dlrun):
    done = dlrun.here("evaluate", trained.run("jax"), "--data", "any.npz", "--split", "train")
    assert done.returncode == 2
    assert "error: --split train: all samples of --data any.npz are evaluated" in done.stderr


def test_a_file_for_a_run_on_arrays_is_refused(trained, dlrun):
    done = dlrun.here("evaluate", trained.run("jax"), "--data", "any.csv")
    assert done.returncode == 2
    assert "hint: numpy.savez('new.npz', x=inputs, y=labels)" in done.stderr


def test_batch_size_does_not_change_the_metrics(trained, dlrun):
    result = dlrun.warm("jax", "evaluate", trained.run("jax"), "batch_size=1000")
    assert result["metrics"] == pytest.approx(trained.result("jax")["test"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.trains
def test_batch_size_does_not_change_the_area_of_one_of_several_outputs(dlrun):
    area = "+task.metrics.department.area"
    dlrun.warm(
        *("jax", "train", "model=ticket_classifier", "data=tickets", "task=tickets", "epochs=1"),
        "data.limit=400",
        *(f"{area}._target_=dlrun.metrics.area.Area", f"{area}.curve=PR"),
        f"{area}.activation=softmax",
    )
    for backend in ("jax", "numpy"):
        whole, single = (
            dlrun.warm(backend, "evaluate", "latest", f"batch_size={size}")["metrics"]
            for size in (320, 3)
        )
        assert 0.2 < whole["department_area"] < 1
        assert single == pytest.approx(whole, abs=1e-5)


def test_table_names_the_run_and_the_split(trained, dlrun):
    done = dlrun("evaluate", trained.run("jax"))
    head, row = (line.split() for line in done.stdout.splitlines()[:2])
    assert head[:3] == ["split", "samples", "backend"]
    assert row[:3] == ["test", "3,000", "jax"]
    assert f"{trained.result('jax')['test']['accuracy']:.4f}" in row


def test_gate_that_passes_exits_0(trained, dlrun):
    done = dlrun.within("jax", "evaluate", trained.run("jax"), "--fail-under", "accuracy=0.5")
    assert (done.returncode, done.stderr) == (0, "")


def test_gate_that_fails_exits_1_says_why_and_still_prints_the_result(trained, dlrun):
    run = trained.run("jax")
    gates = ("--fail-under", "accuracy=0.999", "--fail-over", "loss=99")
    done = dlrun.within("jax", "evaluate", run, *gates, "--json")
    accuracy = json.loads(done.stdout)["metrics"]["accuracy"]
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"error: accuracy {accuracy:.6g} is under 0.999"


def test_fail_over_fails_a_loss_above_its_limit_only(trained, dlrun):
    run = trained.run("jax")
    held = dlrun.within("jax", "evaluate", run, "--fail-over", "loss=99")
    assert (held.returncode, held.stderr) == (0, "")
    done = dlrun.within("jax", "evaluate", run, "--fail-over", "loss=0.001", "--json")
    loss = json.loads(done.stdout)["metrics"]["loss"]
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"error: loss {loss:.6g} is over 0.001"


def test_an_outputs_name_does_not_decide_the_direction_of_its_metrics():
    loss, metrics = {"errors": "a", "b": "b"}, {"errors": {"accuracy": "keras.metrics.Accuracy"}}
    better = directions(Task(outputs=["errors", "b"], loss=loss, metrics=metrics))
    assert (better["errors_loss"], better["errors_accuracy"]) == ("min", "max")


def test_a_metric_of_unknown_direction_takes_either_gate_and_nan_fails_both():
    better = {"odd": None}
    for option in (UNDER, OVER):
        gate = parse_gate(option, "odd=0.5", better)
        assert gate.failure(0.5) is None
        assert gate.failure(float("nan")) == "odd is nan, not a finite number"
    assert parse_gate(UNDER, "odd=0.5", better).failure(0.6) is None
    assert parse_gate(OVER, "odd=0.5", better).failure(0.6) == "odd 0.6 is over 0.5"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("accuracy", "expected metric=number"),
        ("accuracy=high", "expected metric=number"),
        ("accuracy=nan", "nothing is under nan"),
        ("acuracy=0.9", "did you mean --fail-under accuracy=0.9?"),
    ],
)
def test_invalid_gate_exits_2_before_a_framework_is_imported(trained, dlrun, gate, message):
    done = dlrun.here("evaluate", trained.run("jax"), "--fail-under", gate)
    assert done.returncode == 2
    assert message in done.stderr


def test_latest_is_the_newest_run(trained, dlrun):
    trained.copy("jax", dlrun.cwd)
    result = dlrun.warm("jax", "train", "smoke=true")
    assert dlrun.warm("jax", "evaluate", "latest")["run_dir"] == result["run_dir"]


def test_latest_is_searched_in_the_runs_dir(trained, dlrun):
    words = ("evaluate", "latest", "--runs-dir", trained.run("jax").parents[1])
    result = dlrun.warm("jax", *words)
    assert result["run_dir"] == str(trained.run("jax"))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("latest", "no runs in runs"),
        ("runs/nowhere", "no run directory at runs/nowhere"),
        ("empty", "empty is not a run directory: it has no run.json"),
    ],
)
def test_a_path_that_is_not_a_run_directory_exits_2(dlrun, run, message):
    (dlrun.cwd / "empty").mkdir()
    done = dlrun.here("evaluate", run)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")


@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
def test_damaged_record_or_config_exits_2(trained, dlrun, name):
    run = trained.copy("jax", dlrun.cwd)
    (run / name).write_text("{]")
    done = dlrun.here("evaluate", run)
    assert done.returncode == 2
    assert f"error: {run / name} can't be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["arrays.npz", "state.json", "manifest.json"])
def test_damaged_checkpoint_exits_2_and_names_another(trained, dlrun, name):
    run = trained.copy("jax", dlrun.cwd)
    best = trained.result("jax")["best_epoch"]
    [other] = {3, 4} - {best}
    file = run / "checkpoints" / f"epoch-{best:04d}" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    done = dlrun.within("jax", "evaluate", run)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert f"error: checkpoint {file.parent}" in done.stderr
    hint = f"--checkpoint {other}"
    assert hint in done.stderr.partition("hint: ")[2]
    assert dlrun.warm("jax", "evaluate", run, *hint.split())["epoch"] == other


def test_missing_file_of_a_checkpoint_exits_2(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    (run / "checkpoints" / "epoch-0004" / "arrays.npz").unlink()
    done = dlrun.within("jax", "evaluate", run, "--checkpoint", "last")
    assert done.returncode == 2
    assert "arrays.npz" in done.stderr
    assert "Traceback" not in done.stderr


def test_checkpoint_of_another_model_is_refused(trained, dlrun):
    run = trained.copy("jax", dlrun.cwd)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["units"] = 3
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = dlrun.within("jax", "evaluate", run)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is of another model" in done.stderr
    assert "(784, 3)" in done.stderr
    assert "(784, 512)" in done.stderr


@pytest.mark.parametrize("override", ["model.units=3", "optimizer=sgd", "seed=1", "+epochs=2"])
def test_keys_that_decide_the_weights_cannot_be_overridden(trained, dlrun, override):
    done = dlrun.here("evaluate", trained.run("jax"), override)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {override}: can't change here" in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("epochs == 3", "epochs=3"),
        ("backend = numpy", "backend=numpy"),
        ("backend== numpy", "backend=numpy"),
        ("backend : numpy", "backend=numpy"),
        ("backend=numpy, torch", "backend=numpy,torch"),
        ("data.limit =3", "data.limit=3"),
    ],
)
def test_an_override_with_spaces_in_it_is_no_further_run(trained, dlrun, words, meant):
    done = dlrun.here("evaluate", trained.run("jax"), *words.split())
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {words}: expected ")
    assert done.stderr.endswith(f"hint: did you mean {meant}?\n")


def test_data_set_of_another_shape_is_refused(trained, dlrun):
    done = dlrun.within("jax", "evaluate", trained.run("jax"), "data=blobs")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is of another model" in done.stderr


def test_empty_split_is_refused(trained, dlrun):
    done = dlrun.within(
        *(
            "jax",
            "evaluate",
            trained.run("jax"),
            "--split",
            "validation",
            "data.validation_samples=0",
        )
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: the validation split is empty" in done.stderr
