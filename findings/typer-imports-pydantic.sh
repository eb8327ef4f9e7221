#!/usr/bin/env bash
# A command of a typer application imports pydantic, whatever its options are and whether any is typed.
#
# typer 0.29.2 beside 0.28.0, with pydantic 2.14.3; Python 3.11, Linux.
#
# Since 0.29 typer converts what is typed by pydantic's adapters, which pydantic builds when they are
# first asked for. They are asked for each parameter, also for one that has no value, and for the two
# of typer's own, --install-completion and --show-completion. So an application whose one option is a
# flag, called without it, imports pydantic too; only --help does without. It doubles the processor
# time of the smallest application (0.23 to 0.39 s, the medians of five calls in turn, on two cores).
#
# Seen:
#   typer 0.28.0  a call: without pydantic  with its flag: without pydantic
#   typer 0.29.2  a call: pydantic imported  with its flag: pydantic imported
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")

cat > "$dir/app.py" <<'PYTHON'
import sys

import typer

app = typer.Typer()


@app.command()
def greet(loud: bool = False) -> None:
    print("pydantic imported" if "pydantic" in sys.modules else "without pydantic", end="")


app()
PYTHON

for version in 0.28.0 0.29.2; do
    "$python" -m venv --without-pip "$dir/$version"
    # Both have pydantic at hand; the older typer has no use for it.
    "$python" -m pip --python "$dir/$version/bin/python" install --quiet \
        --disable-pip-version-check "typer==$version" pydantic==2.14.3
    call=("$dir/$version/bin/python" "$dir/app.py")
    line="a call: $("${call[@]}")  with its flag: $("${call[@]}" --loud)"
    echo "typer $version  $line"
    seen=$(grep -o "pydantic imported" <<< "$line" | wc -l || true)
    [ "$seen" -eq "$([ "$version" = 0.28.0 ] && echo 0 || echo 2)" ]
done
