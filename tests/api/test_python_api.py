"""``import dlrun``: training, loading and predicting from Python, in a process of the user's."""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import dlrun as package
from conftest import Dlrun
from dlrun.api.guest_call import on_this_backend
from dlrun.config.approvals import separate_approvals
from dlrun.config.compose import compose
from dlrun.config.instantiate import instantiate
from dlrun.errors import DlrunError
from trainings import worker

HEAVY = {"hydra", "omegaconf", "yaml", "numpy", "keras", "typer", "rich", "pandas", "optuna"}
X = ("model=mnist_mlp_dropout", "data.limit=600", "epochs=2", "seed=3")
Y = ("model=mnist_mlp", "data.limit=400", "epochs=2", "precision=mixed_bfloat16")

# Trains two runs in a row, in a process that has a life of its own.
IN_A_ROW = """
import json, logging, os, random, signal, sys, threading
import numpy as np
import dlrun

backend, used, runs = sys.argv[1], sys.argv[2] == "used", json.loads(sys.argv[3])
sys.argv = ["notebook", "--with", "options"]
random.seed(5), np.random.seed(5)
if used:
    os.environ["KERAS_BACKEND"] = backend
    import keras
    own = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    before = own.predict(np.ones((2, 4)), verbose=0)
state = lambda: dict(
    environment=dict(os.environ),
    path=list(sys.path),
    argv=list(sys.argv),
    cwd=os.getcwd(),
    handlers=[signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
    log=[list(logging.getLogger("dlrun").handlers), logging.getLogger("dlrun").level,
         logging.getLogger("dlrun").propagate, list(logging.getLogger().handlers)],
    streams=[sys.stdout, sys.stderr],
    policy=used and keras.config.dtype_policy().name,
    random=[random.getstate(), np.random.get_state()[1].tolist()],
    threads=threading.main_thread() is threading.current_thread(),
)
first = state()
paths = [str(dlrun.train(f"backend={backend}", *typed).path) for typed in runs]
changed = [name for name, value in state().items() if value != first[name]]
if used:  # the user's own model and layers are as before
    assert (own.predict(np.ones((2, 4)), verbose=0) == before).all()
    assert keras.layers.Dense(1).compute_dtype == "float32"
json.dump({"paths": paths, "changed": changed}, open("found.json", "w"))
"""


def saved(run: Path) -> tuple[str, str]:
    """A digest of all that a run has learnt, and its curves without the seconds."""
    from dlrun.checkpoints.format import PARTS, read_checkpoint
    from dlrun.checkpoints.store import checkpoint_path, list_positions

    at = list_positions(run / "checkpoints")[-1]
    read = read_checkpoint(checkpoint_path(run / "checkpoints", at))
    arrays = [v.value.tobytes() for part in PARTS for v in getattr(read, part)]
    return hashlib.sha256(b"".join(arrays)).hexdigest(), json.dumps(read.state["history"])


def test_importing_loads_nothing_heavy_and_offers_every_name(dlrun: Dlrun) -> None:
    script = (
        "import sys, dlrun; assert set(dlrun.__all__) <= set(dir(dlrun));"
        "print(*{m.partition('.')[0] for m in sys.modules});"
        "[getattr(dlrun, name) for name in dlrun.__all__];"
        "from dlrun import runs; from dlrun.runs import query; assert callable(runs);"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )
    done = dlrun("-c", script, command=[sys.executable])
    assert done.returncode == 0, done.stderr
    at_import, after = (set(line.split()) for line in done.stdout.splitlines())
    assert at_import & HEAVY == set()
    assert after & {"numpy", "keras", "hydra"} == set()


def test_the_types_of_every_name_are_declared() -> None:
    source = Path(package.__file__).read_text(encoding="utf-8")
    assert (Path(package.__file__).parent / "py.typed").is_file()
    assert all(f"import {name} as {name}\n" in source for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = package.trian


@pytest.mark.trains
@pytest.mark.parametrize(
    "backend",
    ["jax", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tensorflow", "torch"))],
)
def test_trainings_in_one_process_equal_those_in_two_and_leave_it_as_it_was(
    dlrun: Dlrun, tmp_path: Path, backend: str
) -> None:
    def run(name: str, runs: list[tuple[str, ...]]) -> list[tuple[str, str]]:
        place = tmp_path / name
        place.mkdir()
        words = (backend, name, json.dumps(runs))
        done = dlrun("-c", IN_A_ROW, *words, command=[sys.executable], cwd=place)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        result = json.loads((place / "found.json").read_text())
        assert result["changed"] == []
        return [saved(Path(path)) for path in result["paths"]]

    with ThreadPoolExecutor() as pool:
        [x_first, y_second], [y_first, x_second] = pool.map(run, ("new", "used"), ([X, Y], [Y, X]))
    assert x_first == x_second
    assert y_first == y_second


@pytest.mark.trains
def test_run_has_record_history_model_and_predictions(tmp_path: Path) -> None:
    found = worker("jax").run(
        tmp_path,
        """
import numpy as np, keras, dlrun
run = dlrun.train("smoke=true", "epochs=2", "model.units=16", quiet=True)
again = dlrun.load_run("latest")
digits = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
model = run.model()
weights = [np.asarray(w).astype(float) for w in model.weights]
found |= {
    "same": again.path == run.path,
    "status": run.status,
    "columns": list(run.history), "rows": len(run.history),
    "test": run.test, "evaluated": run.evaluate(quiet=True)["metrics"],
    "shape": run.predict().shape,
    "predicted": run.predict(digits).tolist(),
    "digits": digits.tolist(), "weights": [w.tolist() for w in weights],
    "with_activation": np.asarray(
        run.model(activation=True)(digits.astype("float32") / 255)).tolist(),
    "text": repr(run), "html": run._repr_html_(),
    "runs": [str(r.path) for r in dlrun.runs(where="epochs=2")], "path": str(run.path),
    "longer": len(run.resume("epochs=3", quiet=True).history),
    "config": run.config["model"]["units"],
}
""",
    )
    assert found["same"]
    assert found["status"] == "completed"
    assert {"epoch", "loss", "val_loss", "accuracy"} <= set(found["columns"])
    assert (found["rows"], found["longer"], found["config"]) == (2, 3, 16)
    assert found["evaluated"] == pytest.approx(found["test"], abs=1e-6)
    assert found["shape"] == [384, 10]
    assert found["runs"] == [found["path"]]
    # By hand, in float64.
    one, bias, two, other = map(np.asarray, found["weights"])
    inputs = np.asarray(found["digits"], float).reshape(9, 784) / 255
    logits = np.maximum(inputs @ one + bias, 0) @ two + other
    powers = np.exp(logits - logits.max(1, keepdims=True))
    expected = powers / powers.sum(1, keepdims=True)
    assert np.abs(np.asarray(found["predicted"]) - expected).max() < 1e-5
    assert np.abs(np.asarray(found["with_activation"]) - expected).max() < 1e-5
    assert found["text"].startswith("<Run mnist_mlp/")
    assert "<svg" in found["html"] and "accuracy" in found["html"]


@pytest.mark.trains
def test_frame_gives_the_frame_that_the_command_writes(homes, tmp_path: Path) -> None:
    run, new = homes.run("kind"), homes.cwd / "new.csv"
    found = worker("jax").run(
        homes.cwd,
        f"""
import pandas as pd, dlrun
from dlrun.errors import DlrunError
run = dlrun.load_run({str(run)!r})
of_frame = run.predict(pd.read_csv({str(new)!r}), top=2, quiet=True)
of_columns = run.predict(pd.read_csv({str(new)!r}).to_dict("list"), top=2, quiet=True)
of_file = run.predict({str(new)!r}, top=2, quiet=True)
found["equal"] = of_frame.equals(of_columns) and of_frame.equals(of_file)
found["columns"], found["rows"] = list(of_frame), len(of_frame)
try:
    run.predict(pd.read_csv({str(new)!r}).drop(columns="area"), quiet=True)
except DlrunError as error:
    found["error"] = error.message
found["policies"] = []
for call in (run.predict, run.evaluate):
    try:
        call(on_error="Skip")
    except DlrunError as error:
        found["policies"].append(error.message)
""",
    )
    assert found["equal"]
    assert found["rows"] == 40
    assert found["columns"][:4] == ["row", "house_id", "predicted_kind", "probability"]
    assert found["error"].startswith("inputs has no column 'area'")
    assert found["policies"] == ["on_error='Skip': expected 'fail' or 'skip'"] * 2


@pytest.mark.trains
def test_another_backend_device_or_width_is_refused_in_one_line(tmp_path: Path) -> None:
    found = worker("jax").run(
        tmp_path,
        """
import dlrun, logging
def refusal(*words):
    try:
        dlrun.train("smoke=true", *words)
    except dlrun.DlrunError as error:
        return [error.message, error.hint, error.exit_code, error.__notes__]
found["backend"] = refusal("backend=torch")
found["device"] = refusal("device=gpu")
found["width"] = refusal("precision=float64")
found["typo"] = refusal("epoch=3")
found["list"] = refusal(["epochs=3"])
""",
    )
    message, hint, code, notes = found["backend"]
    assert message == "this process runs Keras on 'jax', not on 'torch'"
    assert code == 2 and "backend=jax" in hint and notes == [f"hint: {hint}"]
    assert found["device"][0].startswith("device=gpu: this process computes on cpu:0")
    assert found["width"][0].startswith("precision=float64: jax computes in 32 bits")
    assert found["typo"][1] == "did you mean epochs=3?"
    assert "expected overrides as texts, got ['epochs=3']" in found["list"][0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.trains
def test_backend_of_the_process_is_used_where_none_is_chosen(tmp_path: Path) -> None:
    found = worker("torch").run(
        tmp_path,
        """
import dlrun
run = dlrun.train("smoke=true", "model.units=8", quiet=True)
found["backend"], found["overrides"] = run.record["backend"], run.record["overrides"]
""",
    )
    assert found["backend"] == "torch"
    assert found["overrides"] == ["backend=torch", "smoke=true", "model.units=8"]


def test_backend_of_the_environment_is_used_where_none_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert on_this_backend(["epochs=3"], or_environment=True) == ["backend=torch", "epochs=3"]
    assert on_this_backend(["backend=jax"], or_environment=True) == ["backend=jax"]
    assert on_this_backend(["epochs=3"]) == ["epochs=3"]
    monkeypatch.delenv("KERAS_BACKEND")
    assert on_this_backend(["epochs=3"], or_environment=True) == ["epochs=3"]


def test_what_one_call_may_name_the_next_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = {"_target_": "collections.OrderedDict"}
    own = {"_target_": "dlrun.data.mnist.mnist", "validation_samples": 10, "limit": 20}
    with separate_approvals():
        compose(["data.limit=20"])
        assert len(instantiate("data", own).train) == 20
        with separate_approvals(), pytest.raises(DlrunError, match="is not trusted"):
            instantiate("data", own)
        with pytest.raises(DlrunError, match="is not trusted"):
            instantiate("data", spec)


@pytest.mark.trains
def test_edited_module_of_the_users_is_imported_again(tmp_path: Path) -> None:
    (tmp_path / "configs/model").mkdir(parents=True)
    (tmp_path / "configs/model/mine.yaml").write_text("_target_: edited_net.mine\n")
    found = worker("jax").run(
        tmp_path,
        """
import os, dlrun
from pathlib import Path
NET = '''
import keras
def mine(input_shape, num_classes):
    layers = keras.layers
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), layers.Dense(UNITS),
                             layers.Dense(num_classes)])
'''
for units in (4, 8):
    Path("edited_net.py").write_text(NET.replace("UNITS", str(units)))
    os.utime("edited_net.py", (units, units))
    run = dlrun.train("model=mine", "smoke=true", quiet=True)
    found[str(units)] = run.record["parameters"]
""",
    )
    assert found == {"4": 784 * 4 + 4 + 4 * 10 + 10, "8": 784 * 8 + 8 + 8 * 10 + 10}


@pytest.mark.trains
def test_sweep_ranks_runs_of_other_backends_than_that_of_the_process(tmp_path: Path) -> None:
    found = worker("torch").run(
        tmp_path,
        """
import dlrun
result = dlrun.sweep("backend=jax", "seed=1,2", "smoke=true", "model.units=4", jobs=1, quiet=True)
found["seeds"] = sorted(run.config["seed"] for run in result.runs)
found["backends"] = [run.record["backend"] for run in result.runs]
found["best"] = result.best.path == result.runs[0].path
found["frame"] = list(result.frame())
found["text"] = repr(result)
""",
    )
    assert found["seeds"] == [1, 2]
    assert found["backends"] == ["jax", "jax"]
    assert found["best"]
    assert {"seed", "val_loss", "test_accuracy"} <= set(found["frame"])
    assert "2 completed" in found["text"]
