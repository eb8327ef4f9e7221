"""``dlrun doctor``: what is installed, what works, and how to fix the rest.

Each backend is probed in its own process, all in parallel. A backend that fails, or kills its
process, is reported as broken.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from typing import Any

from dlrun import __version__, backends
from dlrun.errors import DlrunError
from dlrun.system import process
from dlrun.system.child import python_command

TIMEOUT_SECONDS = 120


def doctor() -> dict[str, Any]:
    """The report, as ``dlrun doctor --json`` prints it."""
    # The numpy backend needs no package of its own: it is installed with any other.
    probes = {n: _start_probe(n) for n in backends.names() if importlib.util.find_spec(_package(n))}
    report = {}
    for name in backends.names():
        backend = backends.module(name)
        if name in probes:
            report[name] = _result(name, probes[name])
        else:
            report[name] = missing(name, sys.version_info[:2])
        report[name]["trains"] = backend.TRAINS
    return {
        "dlrun": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": process.cores(),
        "backends": report,
    }


def missing(name: str, python: tuple[int, int]) -> dict[str, str]:
    """The report on a backend that is not installed, and how to install it, if that is possible."""
    backend = backends.module(name)
    if why := backends.why_no_build(backend.PACKAGE, python):
        others = [one for one in backends.names() if backends.module(one).TRAINS and one != name]
        return {"status": "missing", "error": f"{why}: use {' or '.join(others)}, or Python 3.13"}
    return {"status": "missing", "install": f"pip install 'dlrun[{backend.EXTRA}]'"}


def probe(name: str) -> None:
    """Start a backend in this process, compute with it, and print what it is as JSON."""
    backend, device = backends.start(
        name, kind="auto", index=None, precision="float32", seed=0, cache=False
    )
    import keras

    total = float(keras.ops.convert_to_numpy(keras.ops.sum(keras.ops.ones((2, 2)))))
    versions = backends.keras_versions(name)
    report = {"version": versions[name], "keras": versions["keras"], "devices": backend.devices()}
    print(json.dumps({**report, "default_device": device, "computes": total == 4.0}))


def _package(name: str) -> str:
    return backends.module(name).PACKAGE


def _start_probe(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        python_command("dlrun.api.doctor", name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def _result(name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
    reinstall = f"pip install --force-reinstall 'dlrun[{backends.module(name).EXTRA}]'"
    try:
        printed, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"status": "broken", "error": f"no answer in {TIMEOUT_SECONDS} s"}
    try:
        answer = json.loads(printed.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = errors.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        return {"status": "broken", "error": last[0], "install": reinstall}
    return {"status": "ok" if answer.pop("computes") else "broken", **answer}


if __name__ == "__main__":
    try:
        probe(sys.argv[1])
    except DlrunError as error:
        sys.exit(error.message)
