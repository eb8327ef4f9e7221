"""``dlrun launch``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.commands.terminal import report_errors
from dlrun.config.project import Project

if TYPE_CHECKING:
    from dlrun.workers.launch.run import Command


def launch(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- train ...", help="The command, as in dlrun train ..."),
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Number of machines.")] = 1,
    per_node: Annotated[int, typer.Option(min=1, help="Number of processes on each machine.")] = 1,
    node_rank: Annotated[
        int | None,
        typer.Option(metavar="R", envvar="SLURM_NODEID", help="Which machine this one is, from 0."),
    ] = None,
    master: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where node 0 listens for the other machines."),
    ] = None,
    restarts: Annotated[
        int, typer.Option(min=0, help="How often to restart the run after a process was lost.")
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for the other machines.")
    ] = 60.0,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE ...",
            help="Submit it to Slurm, with what submitit asks for: partition, nodes, gpus_per_node,"
            " cpus_per_task, timeout_min, ...",
        ),
    ] = None,
    ray: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE ...",
            help="Place it on a Ray cluster: address, nodes, num_cpus, num_gpus, memory,"
            " accelerator_type.",
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the job is submitted to Slurm.")
    ] = False,
) -> None:
    """Train one run in processes on one or several machines, with the numbers of one process.

    Slurm or Ray can start it on several machines. Without them, type the same command on each, with
    another --node-rank. If a process dies, hangs or loses its connection, the run ends on all
    machines; with --restarts it continues from its newest checkpoint.

    \b
    Examples:
      dlrun launch --per-node 2 -- train backend=torch distribution=data_parallel
      dlrun launch --per-node 2 -- train backend=jax distribution=data_parallel
      dlrun launch --nodes 2 --node-rank 0 --master 10.0.0.5:29500 -- train ...
      dlrun launch --slurm partition=gpu nodes=4 --per-node 8 -- train ...
      dlrun launch --ray address=auto nodes=2 num_gpus=1 -- train ...
      dlrun launch --per-node 4 --restarts 3 -- resume latest
    """
    with report_errors() as out:
        from dlrun.workers.launch.engine import launch_by_engine, read_engine
        from dlrun.workers.launch.plan import make_plan, place_plan
        from dlrun.workers.launch.run import launch as launch_run
        from dlrun.workers.launch.run import settle_run
        from dlrun.workers.launch.spot import Spot

        asked, typed = read_engine(
            {"slurm": slurm, "ray": ray}, words or [], nodes=nodes, master=master, detach=detach
        )
        plan = make_plan(
            typed,
            nodes=asked.nodes if asked else nodes,
            per_node=per_node,
            restarts=restarts,
            timeout=timeout,
        )
        _parse(*typed)  # without device.count, which would stand for an argument that is missing
        command = _parse(*plan.words)
        plan = settle_run(plan, command, _parse)
        if asked:
            code = launch_by_engine(plan, command, asked, out.buffer)
        elif spot := Spot.from_environment():
            code = launch_run(spot.place(plan), command, spot=spot)
        else:
            placed = place_plan(plan, node_rank=node_rank, master=master)
            code = launch_run(placed, command)
    raise typer.Exit(code)


def _parse(name: str, *words: str) -> "Command":
    """Read the command of the processes."""
    from dlrun.commands import resume, train
    from dlrun.errors import DlrunError
    from dlrun.workers.launch.run import Command

    app = typer.Typer(pretty_exceptions_enable=False)
    commands: dict[str, Any] = {"train": train.train, "resume": resume.resume}
    app.command(name)(commands[name])
    given = typer.main.get_command(app).make_context(f"dlrun {name}", list(words)).params
    for option in ("multirun", "needed"):
        if given.get(option):
            raise DlrunError(f"--{option} does not go with dlrun launch, which trains one run")
    project = Project.of(given["config_dir"], given["trust"])
    overrides = list(given["overrides"] or ())
    if name == "train":
        return Command(name, overrides, project, given["from_run"])
    return Command(name, overrides, project, run=given["run"], runs_dir=given["runs_dir"])
