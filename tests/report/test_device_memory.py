"""The memory of a GPU in all that shows a run: as records hold it, and null on a CPU."""

import json
import shutil
from pathlib import Path

import pytest

from dlrun.api.report import report
from dlrun.api.show import show
from dlrun.report.run import run_text
from dlrun.runs.result import RunResult
from evaluations import write_sweep
from pages import Page
from trainings import BACKENDS, worker

KEPT = Path(__file__).parents[1] / "runs" / "kept" / "2026-11-27_11-11-10_wcrm"


@pytest.fixture
def run(tmp_path) -> Path:
    """A run as one on a GPU is recorded."""
    run = tmp_path / "runs" / "mnist_mlp" / KEPT.name
    shutil.copytree(KEPT, run)
    record = json.loads((run / "run.json").read_text())
    record |= {"device": "gpu:0", "peak_memory_bytes": 475_600_000}
    (run / "run.json").write_text(json.dumps(record | {"device_memory_bytes": 3_214_000_000}))
    return run


def test_show_and_the_report_tell_it_beside_that_of_the_process(run):
    head = run_text(show(str(run))).split("\n\n")[0]
    assert "memory   475.6 MB, 3.2 GB on the device" in head
    page = Page(Path(report(str(run))["report"]))
    words = " ".join(page.words.split())
    assert "peak memory of the process 475.6 MB peak memory on the device 3.2 GB" in words


def test_a_record_without_it_is_one_of_an_older_run(run):
    record = json.loads((run / "run.json").read_text())
    assert RunResult.from_record(record, "here").device_memory_bytes == 3_214_000_000
    del record["device_memory_bytes"]
    assert RunResult.from_record(record, "here").device_memory_bytes is None
    with pytest.raises(ValueError, match="device_memory_bytes"):
        RunResult.from_record(record | {"device_memory_bytes": "much"}, "here")
    (run / "run.json").write_text(json.dumps(record))
    assert "memory   475.6 MB\n" in run_text(show(str(run)))
    assert "on the device" not in Page(Path(report(str(run))["report"])).words


def test_the_page_of_a_sweep_has_a_column_where_a_run_knows_it(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", runs=4, epochs=2)
    caption = "Runs by val_loss, the best first"
    without = Page(Path(report(str(sweep))["report"]))
    assert "device MB" not in without.tables[caption][0]
    record = json.loads((sweep / "sweep.json").read_text())
    for entry in record["runs"][:2]:
        entry["device_memory_bytes"] = 2_000_000_000
    (sweep / "sweep.json").write_text(json.dumps(record))
    page = Page(Path(report(str(sweep))["report"]))
    assert sorted(page.column(caption, "device MB")) == ["", "", "2000", "2000"]
    side_by_side = {row[0]: row[1:] for row in page.tables["Backends side by side"]}
    assert side_by_side["median peak memory on the device, MB"] == ["2,000", "2,000"]


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cpu_has_none(tmp_path, backend):
    result = worker(backend).train(tmp_path, "smoke=true")
    assert result["device_memory_bytes"] is None
    assert json.loads((result["path"] / "run.json").read_text())["device_memory_bytes"] is None
    assert "on the device" not in result["log"]


PROGRESS = """
import logging
from types import SimpleNamespace
from dlrun.callbacks.progress import Progress
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger("dlrun").addHandler(handler)
logging.getLogger("dlrun").setLevel(logging.INFO)
progress = Progress(bar=False)
# No GPU is needed to see how its memory is shown.
progress.set_run(data=None, backend=SimpleNamespace(peak_device_bytes=lambda: 3_214_000_000))
progress.set_params({"epochs": 2, "steps": 1})
progress.on_epoch_begin(0)
progress.on_epoch_end(0, {"val_loss": 0.5})
logging.getLogger("dlrun").removeHandler(handler)
found["lines"] = lines
"""


@pytest.mark.trains
def test_the_line_of_an_epoch_tells_it(tmp_path):
    [line] = worker("jax").run(tmp_path, PROGRESS)["lines"]
    assert line.endswith(" examples/s  3,214 MB on the device  best")


def test_on_jax_a_former_peak_is_not_that_of_a_later_run(monkeypatch):
    from dlrun.backends import jax as backend  # imports no framework

    peaks = {0: 0}
    monkeypatch.setattr(backend, "_peaks", lambda: peaks)
    monkeypatch.setattr(backend, "_former_peaks", {})
    backend.reset_peak_device_bytes()
    peaks[0] = 500
    assert backend.peak_device_bytes() == 500
    backend.reset_peak_device_bytes()
    assert backend.peak_device_bytes() is None
    peaks[0] = 800
    assert backend.peak_device_bytes() == 800
