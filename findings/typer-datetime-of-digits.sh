#!/usr/bin/env bash
# An option of type datetime takes 20261130 and 2026 for seconds after 1970, in UTC.
#
# typer 0.29.2 beside 0.28.0, with pydantic 2.14.3; Python 3.11, Linux.
#
# Unless it is given `formats`, an option of typer took three, all with dashes, and refused the rest.
# Since 0.29 pydantic reads what is typed, and to pydantic a number is a Unix time: a compact date or
# a bare year gives a day of 1970 and exit code 0. The value has a time zone, and that of 2026-11-30
# has none, so comparing the two raises. An option with formats=["%Y-%m-%d"] refuses the digits.
#
# Seen:
#   0.28.0  without formats   2026-11-30  exit 0  2026-11-30 00:00:00, no time zone
#   0.28.0  without formats   20261130    exit 2
#   0.28.0  without formats   2026        exit 2
#   0.28.0  formats=%Y-%m-%d  20261130    exit 2
#   0.29.2  without formats   2026-11-30  exit 0  2026-11-30 00:00:00, no time zone
#   0.29.2  without formats   20261130    exit 0  1970-08-23 12:05:30, UTC
#   0.29.2  without formats   2026        exit 0  1970-01-01 00:33:46, UTC
#   0.29.2  formats=%Y-%m-%d  20261130    exit 2
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")

cat > "$dir/dates.py" <<'PYTHON'
from datetime import datetime
from typing import Annotated

import typer
from typer.testing import CliRunner

app = typer.Typer()


def tell(since: datetime) -> None:
    print(f"{since:%Y-%m-%d %H:%M:%S}, {'UTC' if since.tzinfo else 'no time zone'}")


@app.command()
def plain(since: Annotated[datetime, typer.Option()]) -> None:
    tell(since)


@app.command()
def given(since: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]) -> None:
    tell(since)


def try_out(name: str, command: str, text: str) -> str:
    done = CliRunner().invoke(app, [command, "--since", text])
    value = "" if done.exit_code else f"  {done.stdout.strip()}"
    return f"{typer.__version__}  {name:16}  {text:10}  exit {done.exit_code}{value}"


seen = [try_out("without formats", "plain", text) for text in ("2026-11-30", "20261130", "2026")]
seen.append(try_out("formats=%Y-%m-%d", "given", "20261130"))
print(*seen, sep="\n")
PYTHON

for version in 0.28.0 0.29.2; do
    "$python" -m venv --without-pip "$dir/$version"
    "$python" -m pip --python "$dir/$version/bin/python" install --quiet \
        --disable-pip-version-check "typer==$version" pydantic==2.14.3
    "$dir/$version/bin/python" "$dir/dates.py"
done > "$dir/seen"
cat "$dir/seen"
diff "$dir/seen" - <<'SEEN'
0.28.0  without formats   2026-11-30  exit 0  2026-11-30 00:00:00, no time zone
0.28.0  without formats   20261130    exit 2
0.28.0  without formats   2026        exit 2
0.28.0  formats=%Y-%m-%d  20261130    exit 2
0.29.2  without formats   2026-11-30  exit 0  2026-11-30 00:00:00, no time zone
0.29.2  without formats   20261130    exit 0  1970-08-23 12:05:30, UTC
0.29.2  without formats   2026        exit 0  1970-01-01 00:33:46, UTC
0.29.2  formats=%Y-%m-%d  20261130    exit 2
SEEN
