"""A copied run directory can't execute code, while the user's own components still work."""

import json
import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import hostile
from dlrun.checkpoints.format import Variable, _digest, _sha256, write_checkpoint
from dlrun.checkpoints.store import ARRAYS, MANIFEST, STATE, Position
from dlrun.cli import app
from dlrun.config.compose import compose, recompose, to_yaml
from dlrun.config.groups import EVALUABLE
from dlrun.config.run_config import read_config
from dlrun.errors import DlrunError
from dlrun.system import arrays
from trainings import worker

FRAMEWORKS = {"keras", "jax", "tensorflow", "torch"}
RUN = "runs/copied/2026-11-21_10-04-31_k3f9"


@cache
def recorded() -> str:
    return to_yaml(compose(["reproduces={}"]))


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an evil module, and a run to tamper with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLRUN_TEST_SECRET", "hunter2")
    (tmp_path / "evil.py").write_text("open('canary', 'w')\n\ndef run(**_): ...\n")
    run = tmp_path / RUN
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(recorded())
    (run / "run.json").write_text(json.dumps({"status": "completed", "input_shape": [28, 28]}))
    write_one_checkpoint(run)
    return tmp_path


def write_one_checkpoint(run: Path) -> Path:
    values = [Variable("v", np.ones(3, np.float32))]
    state = {"best": {"epoch": 1}}
    parts = {"model": values, "optimizer": values}
    return write_checkpoint(run / "checkpoints", Position(1), parts, state, written_by={})


def change(run: Path, key: str, value: Any) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    *parents, last = key.split(".")
    node = config
    for name in parents:
        node = node[name]
    node[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def dlrun(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    """Stderr of a command that must fail before anything is run, imported or written."""
    before = sorted(Path.cwd().rglob("*"))
    done = dlrun(*words)
    assert done.exit_code == 2, (done.output, done.exception)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert all(character == "\n" or character.isprintable() for character in done.stderr)
    assert sorted(Path.cwd().rglob("*")) == before
    assert not FRAMEWORKS & set(sys.modules)
    assert "evil" not in sys.modules
    return str(done.stderr)


def resident(kind: str) -> int:
    """Bytes of memory of this process: ``VmRSS``, now; ``VmHWM``, at the peak."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{kind}:\s*(\d+)", status)[1])


# A copied run


@pytest.mark.parametrize("name", hostile.TARGETS)
def test_a_hostile_target_is_refused_before_anything_is_imported(cwd: Path, name: str) -> None:
    key, spec = hostile.TARGETS[name]
    change(cwd / RUN, key, spec)
    message = refused("evaluate", RUN)
    expected = "this run's config", "the recorded config holds control characters"
    assert any(text in message for text in expected)


@pytest.mark.parametrize("name", hostile.VALUES)
def test_an_invalid_value_is_refused(cwd: Path, name: str) -> None:
    change(cwd / RUN, "model.units", hostile.VALUES[name])
    assert "the recorded config holds" in refused("evaluate", RUN)


@pytest.mark.parametrize("name", hostile.TEXTS)
def test_a_config_that_expands_or_creates_objects_is_refused(cwd: Path, name: str) -> None:
    (cwd / RUN / "config.yaml").write_text(hostile.TEXTS[name])
    refused("evaluate", RUN)


@pytest.mark.parametrize("name", hostile.RECORDS)
@pytest.mark.parametrize("file", ["run.json", f"checkpoints/epoch-0001/{STATE}"])
def test_a_hostile_record_is_refused(cwd: Path, file: str, name: str) -> None:
    (cwd / RUN / file).write_text(hostile.RECORDS[name])
    refused("evaluate", RUN)


@pytest.mark.parametrize("shape", [3, "ab", [[1]], ["a"], {"x": 3}, None])
def test_an_invalid_recorded_shape_is_refused(cwd: Path, shape: object) -> None:
    (cwd / RUN / "run.json").write_text(json.dumps({"input_shape": shape}))
    assert "input_shape" in refused("predict", RUN)


def test_a_run_that_names_another_module_is_refused_with_a_hint_to_trust_it(cwd: Path) -> None:
    change(cwd / RUN, "model._target_", "my_models.net")
    assert refused("evaluate", RUN) == (
        "error: this run's config names my_models.net, which is not trusted\n"
        "\nhint: if you know the code, add --trust my_models\n"
    )
    change(cwd / RUN, "callbacks.mine", {"_target_": "my_lab.callbacks.Mine"})
    change(cwd / RUN, "task.loss", {"_target_": "torch.nn.CrossEntropyLoss"})
    message = refused("predict", RUN)
    assert "--trust torch.nn.CrossEntropyLoss --trust my_models --trust my_lab.callbacks" in message


def test_libraries_can_not_be_trusted(cwd: Path) -> None:
    change(cwd / RUN, "model", hostile.OPEN)
    assert "--trust" not in refused("evaluate", RUN)
    for module in ("builtins", "os.path", "hydra.utils", "keras", "torch", "dlrun", "../evil", ""):
        assert "--trust" in refused("evaluate", RUN, "--trust", module)


def test_trust_in_one_module_does_not_extend_to_another(cwd: Path) -> None:
    change(cwd / RUN, "model._target_", "my_models.net")
    for other in ("my_model", "my_models.net.more", "my", "my_modelsx", "keras.models"):
        assert "not trusted" in refused("evaluate", RUN, "--trust", other)


def test_options_in_the_run_directory_are_not_trusted(
    cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(cwd / RUN, "model._target_", "evil.run")
    option = cwd / RUN / "configs" / "model" / "evil.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: evil.run\n")
    monkeypatch.chdir(cwd / RUN)
    assert "is part of the run directory" in refused("evaluate", ".")


@pytest.mark.parametrize("name", ["config.yaml", "predictions.npz", "checkpoints"])
def test_a_link_that_leads_out_of_the_run_is_refused(cwd: Path, name: str) -> None:
    path = cwd / RUN / name
    if path.exists():
        path.rename(cwd / "outside")
    path.symlink_to(cwd / "outside")
    assert "is a link that leads out of the run" in refused("predict", RUN)


def test_a_pipe_is_refused_without_waiting(cwd: Path) -> None:
    (cwd / RUN / "checkpoints" / "epoch-0001" / STATE).unlink()
    os.mkfifo(cwd / RUN / "checkpoints" / "epoch-0001" / STATE)
    assert "is neither a file nor a directory" in refused("evaluate", RUN)


def test_links_within_a_run_and_to_it_are_allowed(cwd: Path) -> None:
    (cwd / RUN / "checkpoints" / "best").symlink_to("epoch-0001")
    (cwd / "run").symlink_to(RUN)
    assert "no checkpoint of epoch 7" in refused("evaluate", "run", "--checkpoint", "7")


@pytest.mark.parametrize("which", ["../../x", "/etc", "-1", "\u00b2", "1/../1", "best/"])
def test_a_checkpoint_is_not_a_path(cwd: Path, which: str) -> None:
    assert "--checkpoint" in refused("evaluate", RUN, f"--checkpoint={which}")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "..", ".x", "x\n"])
def test_a_runs_name_is_not_a_path(cwd: Path, name: str) -> None:
    change(cwd / RUN, "name", name)
    assert "name" in refused("evaluate", RUN)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "arrays.npz/../x"])
def test_a_manifest_names_only_its_own_files(cwd: Path, name: str) -> None:
    path = cwd / RUN / "checkpoints" / "epoch-0001" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"][name] = "0"
    forge(path, manifest)
    assert "is damaged" in refused("evaluate", RUN)


@pytest.mark.parametrize("dtype", ["finfo", "np", "__class__", "../x", 3, None, "object"])
def test_a_manifest_names_only_numeric_dtypes(cwd: Path, dtype: object) -> None:
    path = cwd / RUN / "checkpoints" / "epoch-0001" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["arrays"][0]["dtype"] = dtype
    forge(path, manifest)
    assert "can't be read" in refused("evaluate", RUN)


def test_a_manifest_names_an_array_once(cwd: Path) -> None:
    path = cwd / RUN / "checkpoints" / "epoch-0001" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["arrays"] *= 1000
    forge(path, manifest)
    assert "names an array twice" in refused("evaluate", RUN)


def forge(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with a correct hash: hashes detect damage, not forgery."""
    manifest.pop("sha256")
    path.write_text(json.dumps(manifest | {"sha256": _digest(manifest)}))


# Arrays


@pytest.mark.parametrize("name", hostile.ARCHIVES)
def test_a_hostile_archive_is_refused_before_memory_is_allocated(cwd: Path, name: str) -> None:
    content = hostile.ARCHIVES[name]
    (cwd / "x.npz").write_bytes(content)
    path = cwd / RUN / "checkpoints" / "epoch-0001"
    (path / ARRAYS).write_bytes(content)
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"][ARRAYS] = _sha256(path / ARRAYS)
    manifest["arrays"] = manifest["arrays"][:1]
    forge(path / MANIFEST, manifest)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    assert "can't be read" in refused("evaluate", RUN)
    assert "--input x.npz can't be read" in refused("predict", RUN, "--input", "x.npz")
    assert resident("VmHWM") - before < 50e6


@pytest.mark.parametrize("name", hostile.HEADERS)
def test_a_hostile_array_is_refused_before_memory_is_allocated(cwd: Path, name: str) -> None:
    (cwd / "x.npy").write_bytes(hostile.HEADERS[name])
    assert "--input x.npy can't be read" in refused("predict", RUN, "--input", "x.npy")


def test_a_compressed_archive_is_refused_as_checkpoint_but_not_as_input(cwd: Path) -> None:
    content = hostile.npz(hostile.npy((2,), data=b"\0" * 8), packed=True)
    (cwd / "x.npz").write_bytes(content)
    arrays.check_npz(cwd / "x.npz", packed=True)
    with pytest.raises(ValueError, match="it is compressed"):
        arrays.check_npz(cwd / "x.npz", packed=False)


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.asarray(3), np.zeros((0, 28)), np.array(["a"]), np.eye(3).T],
    ids=str,
)
def test_files_written_by_numpy_are_accepted(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    with (tmp_path / "x.npy").open("rb") as file:
        arrays.check_npy(file, (tmp_path / "x.npy").stat().st_size)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", array, name=array)
        arrays.check_npz(tmp_path / "x.npz", packed=True)


# A resumed run


@pytest.mark.parametrize("path", hostile.PLACES)
def test_a_resumed_run_writes_only_to_its_own_directory(cwd: Path, path: str) -> None:
    change(cwd / RUN, "callbacks.csv.filename", path)
    config = read_config(cwd / RUN / "config.yaml")
    with pytest.raises(DlrunError, match="lies outside the run"):
        recompose(config, [], changeable=EVALUABLE, training=True)
    typed = [f"callbacks.csv.filename='{path or 'x'}'"]
    assert recompose(config, typed, changeable=["callbacks"], training=True)
    assert recompose(config, [], changeable=EVALUABLE)  # evaluation builds no callbacks


# Targets that the user names


@pytest.mark.parametrize("name", ["open", "system", "get_method", "torch.load", "load_model"])
def test_the_user_can_not_name_these_targets_either(cwd: Path, name: str) -> None:
    spec = hostile.TARGETS[name][1]
    assert "is never called" in refused("train", f"+model.x={{_target_:{spec['_target_']}}}")
    message = refused("train", f"model._target_={spec['_target_']}")
    assert f"model._target_={spec['_target_']}: {spec['_target_']} is never called" in message
    (cwd / "configs/model").mkdir(parents=True)
    (cwd / "configs/model/x.yaml").write_text(yaml.safe_dump(spec))
    assert "is never called" in refused("train", "model=x")
    change(cwd / RUN, "model", spec)
    assert "is never called" in refused("evaluate", RUN)


def test_an_escaped_interpolation_does_not_bypass_the_check(cwd: Path) -> None:
    # Hydra would resolve it on instantiation, into an unchecked target.
    text = r"\${oc.decode:'{_target_: evil.run}'}"
    (cwd / "configs/model").mkdir(parents=True)
    for units in (text, [[text]], {"a": text}):
        option = {"_target_": "dlrun.models.mnist_mlp.mnist_mlp", "units": units}
        (cwd / "configs/model/x.yaml").write_text(yaml.safe_dump(option))
        assert "is an unresolved interpolation" in refused("train", "model=x")


def test_a_users_option_trusts_its_module_but_of_a_library_only_the_target(cwd: Path) -> None:
    option = cwd / "mine" / "model" / "net.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(
        "defaults: [_self_]\n_target_: my_lab.models.net\nunits: 3\n"
        "head: {_target_: torch.nn.Linear}\nnorm: {_target_: 'my_lab.norms.${model.units}'}\n"
    )

    def error(target: str) -> str:
        change(cwd / RUN, "model", {"_target_": target})
        # A trusted module is searched for, and is missing.
        return refused("evaluate", RUN, "--config-dir", "mine")

    for target in ("my_lab.models.net", "my_lab.models.other", "my_lab.norms.layer"):
        assert "no module named 'my_lab'" in error(target)
    for target in ("my_lab.data.x", "my_lab.models.os.system", "my_lab.x", "torch.nn.Bilinear"):
        assert f"names {target}, which is not trusted" in error(target)
    assert "--trust torch.nn.Bilinear" in error("torch.nn.Bilinear")


MINE = """
import functools
import os
from os import mkdir

import keras
from keras.saving import load_model


def net(input_shape, num_classes, *, units=4):
    inputs = keras.Input(input_shape)
    flat = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(keras.layers.Dense(units)(flat)))


wide = functools.partial(net, units=8)
"""


@pytest.mark.trains
def test_typed_and_trusted_targets_train_evaluate_and_predict(dlrun: Any) -> None:
    (dlrun.cwd / "mine.py").write_text(MINE)
    result = dlrun.warm("jax", "train", "model={_target_:mine.net,units:4}", "smoke=true")
    refusal = dlrun.within("jax", "evaluate", "latest")
    assert (refusal.returncode, refusal.stdout) == (2, "")
    hint = refusal.stderr.strip().partition("hint: if you know the code, add ")[2]
    assert hint == "--trust mine"
    again = dlrun.warm("jax", "evaluate", "latest", *hint.split())
    assert again["metrics"] == pytest.approx(result["test"], abs=1e-6)
    # An option of the user that names it makes --trust unnecessary.
    (dlrun.cwd / "configs/model").mkdir(parents=True)
    (dlrun.cwd / "configs/model/mine.yaml").write_text("_target_: mine.wide\n")
    predicted = dlrun.warm("numpy", "predict", "latest", "--output", "p.npz")
    assert predicted["samples"] == again["samples"]
    # Functions that the module imports are not its own.
    shutil.rmtree(dlrun.cwd / "configs")
    run = dlrun.path(result)
    for name in ("mkdir", "os.mkdir", "load_model", "keras.saving.load_model"):
        spec = {"_target_": f"mine.{name}", "path": "canary", "filepath": "canary"}
        change(run, "model", spec)
        done = dlrun.within("jax", "evaluate", run, "--trust", "mine")
        assert done.returncode == 2
        assert "which is not trusted" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (dlrun.cwd / "canary").exists()


@pytest.mark.trains
def test_the_working_directory_is_searched_only_for_the_users_modules(dlrun: Any) -> None:
    # Keras tries to import these, and a copied run may bring files with their names.
    for package in ("tensorflow_text", "sklearn", "pygrain", "torch_xla", "triton"):
        (dlrun.cwd / f"{package}.py").write_text("open('canary', 'w')\n")
    dlrun.json("train", "smoke=true", "data.limit=100")
    assert not (dlrun.cwd / "canary").exists()


# Keras' components, in the installed version

SURVEY = """
import inspect
import keras
from dlrun.config.components import is_shipped
from dlrun.config.groups import component_modules, parts_with_components

for part in parts_with_components():
    for module in component_modules(part):
        if not module.startswith("keras."):
            continue
        namespace = eval(module)
        for name in dir(namespace):
            if not is_shipped(part, module, name):
                continue
            component = getattr(namespace, name)
            arguments = list(inspect.signature(component).parameters)
            is_class = isinstance(component, type) or name == "Input"
            found[f"{module}.{name}"] = [is_class, arguments]
"""
READING_ARGUMENTS = (
    "path",
    "file",
    "dir",
    "vocabulary",
    "url",
    "root",
    "function",
    "module",
    "_fn",
)


@pytest.mark.trains
def test_only_keras_classes_that_take_no_path_or_code_are_trusted(tmp_path: Path) -> None:
    components = worker("jax").run(tmp_path, SURVEY)
    assert {"keras.optimizers.Adam", "keras.losses.Huber", "keras.metrics.AUC"} <= set(components)
    assert len(components) > 250
    for target, (is_class, arguments) in components.items():
        assert is_class, target
        assert not [a for a in arguments for word in READING_ARGUMENTS if word in a], target


def test_a_message_has_no_terminal_control_characters(cwd: Path) -> None:
    # refused() checks this of all messages above too.
    change(cwd / RUN, "model._target_", "evil\x1b]0;x\x07.run")
    assert "\\x1b" in refused("evaluate", RUN) or "control characters" in refused("evaluate", RUN)


@pytest.mark.trains
def test_the_name_of_a_keras_loss_must_be_a_class(dlrun: Any) -> None:
    words = ("train", "loss=mean_squared_error", "task.loss.loss=deserialize", "smoke=true")
    done = dlrun.within("jax", *words)
    assert done.returncode == 2
    assert "keras.losses has no class 'deserialize'" in done.stderr
