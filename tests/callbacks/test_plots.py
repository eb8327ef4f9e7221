"""The plots of a run's curves."""

import struct

from trainings import worker


def test_the_plot_has_a_panel_for_the_loss_and_each_metric(dlrun):
    result = dlrun.warm("jax", "train", "epochs=2", "data.limit=1000", "+callbacks=plots")
    picture = (dlrun.path(result) / "plots" / "history.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height) == (1200, 432)  # two panels of 5 by 3.6 inches, 120 dots each


def test_of_one_epoch_the_marks_tell_training_from_validation(tmp_path):
    found = worker("jax").run(
        tmp_path,
        """
from dlrun.callbacks.plots import draw

picture = draw({"loss": {1: 0.5}, "val_loss": {1: 0.7}})
picture.canvas.draw()
[axes] = picture.axes
found["marks"] = [
    [line.get_label(), line.get_marker(), line.get_markerfacecolor() == "white"]
    for line in axes.lines
]
low, high = axes.get_xlim()
found["ticks"] = [float(tick) for tick in axes.get_xticks() if low <= tick <= high]
""",
    )
    assert found["marks"] == [["train", "o", False], ["validation", "o", True]]
    assert found["ticks"] == [1]


def test_without_matplotlib_the_error_says_how_to_install_it(dlrun):
    # Makes find_spec report that matplotlib is missing.
    (dlrun.cwd / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'matplotlib' else"
        " found(name, *a)\n"
    )
    env = {"PYTHONPATH": str(dlrun.cwd)}
    done = dlrun("train", "smoke=true", "+callbacks=plots", env=env)
    assert done.returncode == 2
    assert "error: callbacks.plots needs matplotlib" in done.stderr
    assert "pip install 'dlrun[plots]'" in done.stderr
    assert not (dlrun.cwd / "runs").exists()
