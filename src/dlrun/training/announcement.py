"""What is said of a run before it trains."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlrun.distribution import strategy
from dlrun.remote.places import shown_path
from dlrun.runs.directory import RunDir
from dlrun.training import record
from dlrun.training.resumption import Resumption

if TYPE_CHECKING:  # Keras is not imported before the backend is started
    from dlrun.training.assembled_run import AssembledRun

log = logging.getLogger("dlrun")


def announce(directory: RunDir, run: AssembledRun, resumption: Resumption | None) -> None:
    """Log what is about to run."""
    values, data = directory.record, run.data
    log.info("run    %s", shown_path(directory.path))
    log.info(
        "model  %s, %s parameters   backend %s %s on %s, %d cores   loop %s",
        values["model"],
        f"{values['parameters']:,}",
        values["backend"],
        values["versions"][values["backend"]],
        values["device"],
        values["cores"],
        values["loop"],
    )
    if values["distribution"] != "none":
        log.info("spread %s", _spread_line(values))
    sizes = [f"{len(getattr(data, s)):,} {s}" for s in ("train", "validation", "test")]
    log.info("data   %s, %s", values["data"], ", ".join(sizes))
    if init := values["init_from"]:
        count = init["variables"]
        total = count + len(init["left"])
        log.info(
            "init   %d of %d variables from %s, epoch %d",
            *(count, total, init["run_dir"], init["epoch"]),
        )
    if resumption:
        log.info("resume after %s", resumption.at)
        if why := record.why_not_exact(resumption.saved.written_by, record.written_by(values)):
            log.warning("not bit-exact: %s", why)


def _spread_line(record: Mapping[str, Any]) -> str:
    """How the run is spread: devices, and the samples of a batch that each of them takes."""
    config, count = record["config"], record["devices"]
    way, size = record["distribution"], config["batch_size"]
    kind, _, first = record["device"].partition(":")
    devices = f"{kind}:{first}" + (f" to {kind}:{int(first) + count - 1}" if count > 1 else "")
    copies = strategy(way).copies(count, config["distribution"]["replicas"])
    least, more = divmod(size, copies)
    each = f"{least} or {least + 1}" if more else str(least)
    whom = "device" if copies == count else f"copy of the model, in {count // copies} parts"
    return f"{way} on {devices}, batches of {size}, {each} for each {whom}"
