#!/usr/bin/env bash
# In a program without data frames, the first pyarrow scalar or array imports pandas, if installed.
#
# pyarrow 26.0.1, pandas 3.1.1, numpy 2.4.6; Python 3.11, Linux.
#
# `import pyarrow` and `pyarrow.csv.read_csv` leave pandas alone, as one would expect of an optional
# dependency. `pyarrow.scalar(1)` imports it, as do `pyarrow.array([1])` and `Array.to_numpy()`: to
# recognize an object of pandas they ask pandas. That costs a command-line tool more time than
# pyarrow itself, and which process pays depends on what else is installed beside it.
#
# Seen (how long the import takes depends on the machine):
#   import pyarrow   pandas imported: False
#   read_csv         pandas imported: False
#   scalar(1)        pandas imported: True
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6

cat > "$dir/lazy.py" <<'PYTHON'
import io
import sys

import pyarrow
import pyarrow.csv

seen = []


def look(after):
    seen.append("pandas" in sys.modules)
    print(f"{after:<16} pandas imported: {seen[-1]}")


look("import pyarrow")
pyarrow.csv.read_csv(io.BytesIO(b"a,b\n1,x\n2,y\n"))
look("read_csv")
pyarrow.scalar(1)
look("scalar(1)")
assert seen == [False, False, True], seen
PYTHON

"$dir/venv/bin/python" "$dir/lazy.py"
