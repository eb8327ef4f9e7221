"""A real notebook: it trains, shows a run, is interrupted, and goes on."""

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")
pytestmark = [
    pytest.mark.trains,
    # Warned of by ipykernel's own dependencies at their import.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SECONDS = 120


class Notebook:
    """A kernel, and the cells that are run in it."""

    def __init__(self, cwd: Path) -> None:
        self.manager = client.KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(cwd))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)

    def outputs(self, source: str) -> Iterator[dict[str, Any]]:
        """What a cell outputs, one after the other, until it has ended."""
        asked = self.client.execute(source)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            content = message["content"]
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return
            yield {"type": message["msg_type"], **content}
        raise AssertionError("the cell did not end")

    def text(self, source: str) -> str:
        """What a cell prints."""
        return "".join(out.get("text", "") for out in self.outputs(source))

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    notebook = Notebook(tmp_path)
    yield notebook
    notebook.close()


@pytest.mark.slow
def test_notebook_trains_shows_and_resumes_an_interrupted_run(
    notebook: Notebook, tmp_path: Path
) -> None:
    first = list(notebook.outputs("import dlrun\nrun = dlrun.train('smoke=true', 'epochs=2')\nrun"))
    printed = "".join(out["text"] for out in first if out["type"] == "stream")
    assert {out["name"] for out in first if out["type"] == "stream"} == {"stdout"}
    assert printed.count("\nepoch  ") == 2
    bars = [out for out in first if out["type"] == "update_display_data"]
    assert any("<progress" in out["data"]["text/html"] for out in [*first, *bars] if "data" in out)
    assert bars[-1]["data"]["text/html"] == ""  # the bar is gone
    [shown] = [out for out in first if out["type"] == "execute_result"]
    assert "<svg" in shown["data"]["text/html"] and "completed" in shown["data"]["text/html"]
    assert shown["data"]["text/plain"].startswith("<Run mnist_mlp/")

    # Ctrl-C in a cell.
    errors = []
    for out in notebook.outputs("dlrun.train('epochs=50', 'data.limit=2000', 'name=long')"):
        if "epoch  2/50" in out.get("text", ""):
            notebook.manager.interrupt_kernel()
        errors += [out] if out["type"] == "error" else []
    [error] = errors
    assert error["ename"] == "KeyboardInterrupt"
    told = notebook.text(
        "run = dlrun.load_run('latest')\nbefore = len(run.history)\nprint(run.status)\n"
        "run.resume(f'epochs={before + 1}', quiet=True)\n"
        "print(run.status, len(run.history) - before)"
    )
    assert told.split() == ["interrupted", "completed", "1"]

    # An error is one of Python's, with its hint, and the kernel goes on.
    [error] = [out for out in notebook.outputs("dlrun.train('epoch=3')") if out["type"] == "error"]
    assert error["ename"] == "DlrunError"
    assert "did you mean epochs=3?" in "\n".join(error["traceback"])
    assert notebook.text("import signal; print(signal.getsignal(signal.SIGINT).__name__)") == (
        "default_int_handler\n"
    )
