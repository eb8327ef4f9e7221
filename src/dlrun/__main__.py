"""``python -m dlrun``, and the ``dlrun`` command."""

import os


def main() -> None:
    """Run a command; or complete one, for which the command line need not be imported."""
    if "_DLRUN_COMPLETE" in os.environ:
        from dlrun.completion.complete import main as complete

        complete()
        return
    from dlrun.cli import main as run

    run()


if __name__ == "__main__":
    main()
