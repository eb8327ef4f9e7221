"""The exceptions of dlrun: an error for the user, and a request to stop."""


class DlrunError(Exception):
    """An error that the user can fix, reported in one line.

    Args:
        message: What happened, naming the key, file or array, and what was expected.
        hint: How to fix it.
        exit_code: 2 for bad usage or config, if nothing was started; 1 for a run that failed.
    """

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


# A request and not an error, like KeyboardInterrupt: no "except Exception" may swallow it.
class Interrupted(BaseException):
    """The user or the system asked the run to stop.

    Args:
        signum: The signal's number. The exit code is 128 + ``signum``.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def first_line(error: BaseException) -> str:
    """The first non-blank line of an error's message, else the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
