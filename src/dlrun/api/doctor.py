"""``dlrun doctor``: what is installed, what works, and how to fix the rest.

Each backend is probed in its own process, all in parallel. A backend that fails, or kills its
process, is reported as broken.
"""

import platform
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dlrun import __version__, backends
from dlrun.errors import DlrunError
from dlrun.system import process
from dlrun.system.child_job import ChildJob, answer_job

TIMEOUT_SECONDS = 120


def doctor() -> dict[str, Any]:
    """The report, as ``dlrun doctor --json`` prints it."""
    probed = _probe_all()
    report = {
        name: {
            **(probed.get(name) or missing(name, sys.version_info[:2])),
            "trains": backends.module(name).TRAINS,
        }
        for name in backends.names()
    }
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


def probe(job: Mapping[str, Any]) -> dict[str, Any]:
    """Start a backend in this process, compute with it, and report what it is."""
    name = job["backend"]
    backend, device = backends.start(
        name, kind="auto", index=None, precision="float32", seed=0, cache=False
    )
    import keras

    total = float(keras.ops.convert_to_numpy(keras.ops.sum(keras.ops.ones((2, 2)))))
    versions = backends.keras_versions(name)
    report = {"version": versions[name], "keras": versions["keras"], "devices": backend.devices()}
    return {**report, "default_device": device, "computes": total == 4.0}


def _probe_all() -> dict[str, dict[str, Any]]:
    """The reports on the installed backends."""
    # The numpy backend needs no package of its own: it is installed with any other.
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        probes = {
            name: stack.enter_context(
                ChildJob(
                    "dlrun.api.doctor",
                    {"backend": name},
                    folder=Path(folder),
                    name=name,
                    environment={"TF_CPP_MIN_LOG_LEVEL": "3"},
                )
            )
            for name in backends.installed_backends()
        }
        return {name: _result(name, probe) for name, probe in probes.items()}


def _result(name: str, probe: ChildJob) -> dict[str, Any]:
    try:
        answer = probe.wait(TIMEOUT_SECONDS)
    except DlrunError as error:
        reinstall = f"pip install --force-reinstall 'dlrun[{backends.module(name).EXTRA}]'"
        return {"status": "broken", "error": error.message, "install": reinstall}
    return {"status": "ok" if answer.pop("computes") else "broken", **answer}


if __name__ == "__main__":
    answer_job(probe)
