"""Build the trackers of a config, without importing a framework or what they write to."""

from dlrun.config.groups import without_kept
from dlrun.config.instantiate import instantiate
from dlrun.config.schema import Config
from dlrun.errors import DlrunError
from dlrun.trackers.protocol import Tracker


def build_trackers(config: Config) -> dict[str, Tracker]:
    """The trackers by name; nothing is opened.

    Raises:
        DlrunError: If one can't be built.
    """
    trackers = {}
    for name, spec in config.tracker.items():
        try:
            trackers[name] = instantiate(f"tracker.{name}", without_kept("tracker", spec))
        except DlrunError as error:
            error.exit_code = 2  # nothing was started
            raise
    return trackers
