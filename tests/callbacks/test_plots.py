"""The curves of a run, drawn for real."""

import struct


def test_curves_are_drawn_with_a_panel_for_loss_and_for_each_metric(dlrun):
    result = dlrun.json("train", "epochs=2", "data.limit=1000", "+callbacks=plots")
    picture = (dlrun.path(result) / "plots" / "history.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height) == (1200, 432)  # two panels of 5 by 3.6 inches, 120 dots each


def test_without_matplotlib_it_says_how_to_install_it(dlrun):
    # A directory earlier on the path whose finder says that there is no matplotlib.
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
