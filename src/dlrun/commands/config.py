"""``dlrun config``."""

from dataclasses import asdict

from dlrun.commands.arguments import ConfigDir, Json, Overrides, Trust
from dlrun.commands.terminal import print_result, report_errors
from dlrun.config.project import Project


def config(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    trust: Trust = None,
    as_json: Json = False,
) -> None:
    """Print the config of a run without training or importing anything.

    \b
    Examples:
      dlrun config model=mnist_mlp model.units=256
      dlrun config experiment=first_network --json
    """
    with report_errors() as out:
        from dlrun.config.compose import compose, to_yaml

        composed = compose(overrides or [], project=Project.of(config_dir, trust))
        print_result(out, asdict(composed), as_json, lambda _: to_yaml(composed).rstrip())
