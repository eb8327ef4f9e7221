"""``dlrun summary``: a model's layers as a table, and its graph as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrun import backends
from dlrun.assembly.read_ahead import read_ahead
from dlrun.assembly.require import require
from dlrun.assembly.start import start
from dlrun.config.compose import compose
from dlrun.config.project import HERE, Project
from dlrun.errors import DlrunError
from dlrun.report.summary import layout_table, memory_table
from dlrun.system import pictures
from dlrun.system.files import check_writable

MIN_COLUMNS = 60  # for Keras' table, even in a narrower terminal


def summary(
    overrides: Sequence[str],
    *,
    project: Project = HERE,
    plot: Path | None = None,
    memory: bool = False,
) -> tuple[dict[str, Any], str]:
    """Build a config's model on any backend, without training.

    Args:
        overrides: As typed after ``dlrun summary``.
        project: The user's own options, and what is trusted.
        plot: Where to draw the model's graph; None for no drawing.
        memory: Whether to estimate the memory of a training step.

    Returns:
        The result, as ``dlrun summary --json`` prints it, and Keras' table of the layers.

    Raises:
        DlrunError: If the config is wrong, the model has no graph, or ``plot`` can't be written.
    """
    config = compose(overrides, project=project)
    if memory and config.distribution.kind != "none":
        raise DlrunError(
            f"--memory: distribution={config.distribution.kind} is not supported",
            hint="dlrun summary --memory distribution=none shows a run on one device",
        )
    require(config, training=memory)
    if plot is not None:
        _check_plot(plot)
    if memory:
        read_ahead(config, overrides, project=project)
        # To compile takes memory. A run would find what is kept here, and take less than it says.
        config.backend.compilation_cache = False
    session = start(config)

    from dlrun.assembly.model import build_model
    from dlrun.report.model_graph.layers import layers_of, parameters_of

    model = build_model(config, session.data.spec)
    result: dict[str, Any] = {
        "model": config.choices.get("model"),
        "backend": config.backend.name,
        "layers": layers_of(model),
        **parameters_of(model),
    }
    if plot is not None:
        _draw(model, plot)
        result["plot"] = str(plot)
    table = _table(model)
    if config.distribution.kind != "none":
        rows = backends.distribution_of(config.backend.name).memory_of(model)
        result["variables"] = rows
        result["bytes"] = sum(row["bytes"] for row in rows)
        result["device_bytes"] = sum(row["device_bytes"] for row in rows)
        table = f"{table}\n\n{layout_table(result, config.spread)}"
    if memory:
        from dlrun.assembly.memory import memory_of_step

        sizes = memory_of_step(model, config, session)
        result["memory"] = sizes
        samples = min(config.batch_size, len(session.data.train))
        table = f"{table}\n\n{memory_table(sizes, samples)}"
    return result, table


def _table(model: Any) -> str:
    printed: list[str] = []
    try:
        model.summary(print_fn=printed.append)
    except ValueError:  # the terminal is too narrow
        printed.clear()
        model.summary(print_fn=printed.append, line_length=MIN_COLUMNS)
    return "\n".join(printed).rstrip()


def _check_plot(plot: Path) -> None:
    pictures.check_plot(plot)
    check_writable(plot, "--plot", name="model.png")


def _draw(model: Any, plot: Path) -> None:
    from dlrun.report.model_graph.graph import graph_of
    from dlrun.report.model_graph.picture import draw

    graph = graph_of(model)
    if graph is None:
        raise DlrunError(
            f"--plot {plot}: {model.name} is a subclassed model, which has no graph to draw",
            hint="leave out --plot for the table of its layers",
        )
    figure, dpi = draw(graph, model.name)
    pictures.save_plot(figure, plot, dpi=dpi)
