"""Hostile inputs: what a run directory may hold that somebody else has made.

What could be called would leave a file named ``canary`` in the working directory; so would the
import of the module ``evil``.
"""

import io
import warnings
import zipfile

OPEN = {"_target_": "builtins.open", "file": "canary", "mode": "w"}
MLP = {"_target_": "dlrun.models.mnist_mlp.mnist_mlp", "units": 4}
EVIL = {"_target_": "evil.run"}
PATH = {"_target_": "pathlib.Path", "_args_": ["canary"]}

# A part of the config, and what stands there.
TARGETS = {
    # what Hydra's own list lets through
    "open": ("model", OPEN),
    "write_text": ("model", {"_target_": "pathlib.Path.write_text", "_args_": [PATH, "x"]}),
    "touch": ("model", {"_target_": "pathlib.Path.touch", "_args_": [PATH]}),
    "import": ("model", EVIL),
    "torch.load": ("model", {"_target_": "torch.load", "f": "x.pt", "weights_only": False}),
    "load_model": (
        "model",
        {"_target_": "keras.models.load_model", "filepath": "x.keras", "safe_mode": False},
    ),
    # what it knows
    "eval": ("model", {"_target_": "builtins.eval", "_args_": ["open('canary', 'w')"]}),
    "system": ("model", {"_target_": "os.system", "command": "touch canary"}),
    "run": ("model", {"_target_": "subprocess.run", "args": ["touch", "canary"]}),
    "import_module": ("model", {"_target_": "importlib.import_module", "name": "evil"}),
    "run_path": ("model", {"_target_": "runpy.run_path", "path_name": "evil.py"}),
    "pickle": ("model", {"_target_": "pickle.load", "file": OPEN}),
    "get_method": ("model", {"_target_": "hydra.utils.get_method", "path": "os.system"}),
    "get_class": ("model", {"_target_": "hydra.utils.get_class", "path": "evil.run"}),
    "get_object": ("model", {"_target_": "hydra.utils.get_object", "path": "evil.run"}),
    "instantiate": ("model", {"_target_": "hydra.utils.instantiate", "config": {"x": EVIL}}),
    "OmegaConf": ("model", {"_target_": "omegaconf.OmegaConf.load", "file_": "x.yaml"}),
    "main": ("model", {"_target_": "__main__.main"}),
    # nested, in every part, also in those that evaluation needs none of
    "in a list": ("model", MLP | {"units": [[{"a": OPEN}]]}),
    "in a mapping": ("model", MLP | {"units": {"a": {"b": EVIL}}}),
    "in _args_": ("model", MLP | {"_args_": [OPEN]}),
    "not recursive": ("model", MLP | {"_recursive_": False, "units": EVIL}),
    "partial": ("model", MLP | {"units": EVIL | {"_partial_": True}}),
    "data": ("data", EVIL),
    "loss": ("task.loss", EVIL),
    "losses": ("task.loss", {"a": {"_target_": "keras.losses.MeanSquaredError"}, "b": EVIL}),
    "metrics": ("task.metrics", {"a": EVIL}),
    "activation": ("task.activation", EVIL),
    "optimizer": ("optimizer", EVIL),
    "loop": ("loop.step", EVIL),
    "callbacks": ("callbacks.mine", EVIL),
    "reproduces": ("reproduces", {"native_loops": {"jax": EVIL}}),
    # past the module that is meant
    "by import": ("model", {"_target_": "dlrun.models.mnist_mlp.keras.saving.load_model"}),
    "imported": ("callbacks.mine", {"_target_": "dlrun.callbacks.csv.write_text", "path": "x"}),
    "globals": ("model", {"_target_": "dlrun.models.mnist_mlp.mnist_mlp.__globals__.get"}),
    "init": ("model", {"_target_": "keras.layers.Dense.__init__.__globals__.get"}),
    "mro": ("model", {"_target_": "keras.layers.Dense.mro"}),
    "from_config": ("model", {"_target_": "keras.layers.Dense.from_config", "config": {}}),
    "private": ("model", {"_target_": "keras.src.saving.saving_api.load_model"}),
    "files": ("model", {"_target_": "dlrun.system.files.write_text", "path": PATH, "text": "x"}),
    "process": ("model", {"_target_": "dlrun.api.train.train", "overrides": []}),
    "schedules": ("optimizer", {"_target_": "torch.optim.lr_scheduler.LambdaLR"}),
    # Keras' own, but not components
    "deserialize": ("task.loss", {"_target_": "keras.losses.deserialize", "name": "mse"}),
    "get": ("task.loss", {"_target_": "keras.losses.get", "identifier": "mse"}),
    "get_file": ("model", {"_target_": "keras.utils.get_file", "origin": "file:///etc/passwd"}),
    "Lambda": ("model", {"_target_": "keras.layers.Lambda", "function": EVIL}),
    "TFSMLayer": ("model", {"_target_": "keras.layers.TFSMLayer", "filepath": "x"}),
    "StringLookup": ("model", {"_target_": "keras.layers.StringLookup", "vocabulary": "/etc/x"}),
    "RemoteMonitor": ("callbacks.mine", {"_target_": "keras.callbacks.RemoteMonitor"}),
    "ModelCheckpoint": (
        "callbacks.mine",
        {"_target_": "keras.callbacks.ModelCheckpoint", "filepath": "canary"},
    ),
    # a component of dlrun's, where it would write elsewhere
    "elsewhere": (
        "model",
        MLP | {"units": {"_target_": "dlrun.callbacks.csv.CSV", "filename": "canary"}},
    ),
    # a model's config
    "serialised": (
        "model",
        MLP
        | {
            "units": {
                "class_name": "Lambda",
                "module": "keras.layers",
                "config": {"function": {"class_name": "__lambda__", "config": {"value": "x"}}},
            }
        },
    ),
    "a private function": ("callbacks.mine", {"_target_": "dlrun.callbacks.checkpoint._improved"}),
    # keys of Hydra's with values that are none
    "_partial_": ("model", MLP | {"_partial_": 3}),
    "_recursive_": ("model", MLP | {"units": {"_recursive_": "no"}}),
    "_convert_": ("model", MLP | {"_convert_": {"_target_": "evil.run"}}),
    "_args_": ("model", MLP | {"_args_": "evil.run"}),
    # spelt otherwise
    "_TARGET_": ("model", MLP | {"_TARGET_": "evil.run"}),
    "_Target_": ("model", MLP | {"units": {"_Target_": "evil.run"}}),
    "full width": ("model", MLP | {"units": {"_\uff54arget_": "evil.run"}}),
    "Cyrillic": ("model", MLP | {"units": {"_t\u0430rget_": "evil.run"}}),
    "spaces": ("model", MLP | {"units": {" _target_": "evil.run"}}),
    "upper case": ("model", {"_target_": "BUILTINS.open", "file": "canary", "mode": "w"}),
    "full width name": ("model", {"_target_": "\uff4f\uff53.system", "command": "touch canary"}),
    "zero width": ("model", {"_target_": "os\u200b.system", "command": "touch canary"}),
    "line": ("model", {"_target_": "dlrun.models.mnist_mlp.mnist_mlp\n"}),
    "dots": ("model", {"_target_": "..evil.run"}),
    "slashes": ("model", {"_target_": "dlrun.models./../../../evil.run"}),
    "no dot": ("model", MLP | {"units": {"_target_": "evil"}}),
    "empty": ("model", MLP | {"units": {"_target_": ""}}),
    "a list": ("model", {"_target_": ["evil.run"]}),
    "a mapping": ("model", {"_target_": {"_target_": "evil.run"}}),
    "a number": ("model", {"_target_": 3}),
}

# Values of a resolved config that lead elsewhere.
VALUES = {
    "environment": "${oc.env:DLRUN_TEST_SECRET}",
    "environment, escaped": "\\${oc.env:DLRUN_TEST_SECRET}",
    "in a text": "a ${oc.env:DLRUN_TEST_SECRET} b",
    "nested": "${oc.env:${name}}",
    "another key": "${runs_dir}",
    "decoded": "${oc.decode:'{_target_: evil.run}'}",
    "escape codes": "\x1b]0;title\x07",
}

_LEVELS = "".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))

# A whole config.yaml.
TEXTS = {
    "bomb": f"model:\n  a0: &a0 [lol]\n{_LEVELS}",
    "alias of a target": "data: {_target_: &t evil.run}\nmodel: {_target_: *t}\n",
    "merged alias": "data: &d {_target_: evil.run}\nmodel: {<<: *d}\n",
    "alias of itself": "model: &m {units: *m}\n",
    "brackets": "model: " + "[" * 50_000,
    "deep": "model: " + "{a: " * 100 + "1" + "}" * 100 + "\n",
    "long": "name: " + "x" * 300_000 + "\n",
    "digits": "seed: " + "9" * 5_000 + "\n",
    "object": "model: !!python/object/apply:os.system ['touch canary']\n",
    "name": "model: !!python/name:evil.run\n",
    "module": "model: !!python/module:evil\n",
    "bytes": "name: !!binary aGVsbG8=\n",
    "set": "model: !!set {a, b}\n",
    "date": "name: 2026-11-21\n",
    "no such date": "name: 2026-99-99\n",
    "key of a list": "? [a, b]\n: c\n",
    "key of a number": "model: {1: 2}\n",
    "zero byte": "name: a\0b\n",
    "list": "- model\n",
    "empty": "",
}

RECORDS = {
    "deep": "[" * 200_000,
    "deep and whole": "[" * 100_000 + "]" * 100_000,
    "list": "[]",
    "digits": '{"seed": ' + "9" * 5_000 + "}",
}

# The arguments of a callback of a resumed run.
PLACES = [
    "/etc/cron.d/canary",
    "../../canary",
    "canary",
    "~/canary",
    "{run_dir}/../canary",
    "{run_dir}canary",
    "",
]


def npy(shape: object, descr: str = "<f4", data: bytes = b"", version: int = 1) -> bytes:
    """A ``.npy`` file whose header declares any shape."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}".encode()
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def npz(content: bytes, *, packed: bool = False, name: str = "model/0000.npy") -> bytes:
    """An archive with one array."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return file.getvalue()


def _grown(packed: bool) -> bytes:
    # The array's size in the archive's directory, made a gigabyte.
    content = bytearray(npz(npy((250_000_000,)), packed=packed))
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (10**9 + 128).to_bytes(4, "little")
    return bytes(content)


def _encrypted() -> bytes:
    content = bytearray(npz(npy((1,), data=b"\0" * 4)))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _twice() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("model/0000.npy", npy((1,), data=b"\0" * 4))
    return file.getvalue()


# The headers of .npy files.
HEADERS = {
    "gigabytes": npy((250_000_000_000,)),
    "one too many": npy((3,), data=b"\0" * 8),
    "overflow": npy((2**32, 2**32)),
    "overflow to nothing": npy((2**63, 2)),
    "no digits": npy((0, 2**63)),
    "negative": npy((-1,), data=b"\0" * 8),
    "large items": npy((1,), "<U1000000000"),
    "objects": npy((1,), "|O", b"\x80\x04N."),
    "not a shape": npy("'x'"),
    "an expression": npy("__import__('os').system('touch canary')"),
    "brackets": npy("(" * 5_000 + ")" * 5_000),
    "long": npy("(" + "1," * 50_000 + ")", version=2),
    "cut": npy((1,))[:20],
    "empty": b"",
}

ARCHIVES = {
    **{name: npz(header) for name, header in HEADERS.items()},
    "bomb": _grown(packed=True),
    "two sizes": _grown(packed=False),
    "encrypted": _encrypted(),
    "two of one name": _twice(),
    "no archive": b"PK\x03\x04",
}
