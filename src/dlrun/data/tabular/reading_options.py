"""How a user says that a table is to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from dlrun.data.table_formats import TableOptions

TAB = r"\t"  # as one types a tab: a shell hands on two characters
DECIMALS = (".", ",")


def reading_options(delimiter: Any, decimal: Any, missing: Any) -> TableOptions:
    """The options of a table as a config has them.

    Args:
        delimiter: As of :class:`dlrun.data.table_formats.TableOptions`; :data:`TAB` is a tab.
        decimal: One of :data:`DECIMALS`.
        missing: Texts, or numbers, that stand for a missing value.

    Raises:
        DlrunError: If one of them can't be that.
    """
    from dlrun.data.table_formats import TableOptions

    if delimiter is not None:
        delimiter = "\t" if delimiter == TAB else str(delimiter)
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise DlrunError(
                f"data.delimiter={delimiter!a:.80}: expected one ASCII character, no quote",
                hint=r"""data.delimiter='";"', or data.delimiter='\t' for a tab; null finds it""",
            )
    if decimal not in DECIMALS or decimal == delimiter:
        of = f" beside data.delimiter={delimiter!a}" if decimal == delimiter else ""
        raise DlrunError(
            f"data.decimal={decimal!a:.80}{of}: expected {' or '.join(DECIMALS)}",
            hint="""'data.decimal=","' 'data.delimiter=";"' for 1,5;2,5""",
        )
    if not isinstance(missing, Sequence) or isinstance(missing, str):
        raise DlrunError(
            f"data.missing={missing!a:.80}: expected a list", hint=f"'data.missing=[{missing}]'"
        )
    return TableOptions(delimiter, decimal, tuple(map(str, missing)))
