#!/usr/bin/env bash
# A program that a Ray task starts does not hear SIGINT.
#
# ray 2.60.0; Python 3.11, Linux.
#
# A trainer that saves its state and ends when it is interrupted does so if a shell has started it. Started
# by a Ray task, it takes no notice of the signal that subprocess.Popen.send_signal(SIGINT) sends, and works
# on: Ray's workers have SIGINT blocked, and what they start inherits that. Its handler is of no use; SIGTERM
# reaches it, and so does SIGINT once it has called signal.pthread_sigmask(SIG_UNBLOCK, [SIGINT]).
#
# Seen:
#   from Python             interrupted  (blocked: none)
#   from a Ray task         works on     (blocked: SIGINT)
#   from one, unblocked     interrupted  (blocked: none)
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=$("${PYTHON:-python3}" -c "import sys; print(sys._base_executable)")
"$python" -m venv --without-pip "$dir/venv"
"$python" -m pip --python "$dir/venv/bin/python" install --quiet --disable-pip-version-check \
    ray==2.60.0

cat > "$dir/trainer.py" <<'PYTHON'
import signal
import sys
import time

if "unblocked" in sys.argv:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
try:
    print(", ".join(s.name for s in blocked) or "none", flush=True)
    time.sleep(3)
    print("works on")
except KeyboardInterrupt:
    print("interrupted")
PYTHON

cat > "$dir/tasks.py" <<'PYTHON'
import signal
import subprocess
import sys
from pathlib import Path

import ray

TRAINER = str(Path(__file__).with_name("trainer.py"))


def train(*words):
    command = [sys.executable, TRAINER, *words]
    trainer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    blocked = trainer.stdout.readline().strip()
    trainer.send_signal(signal.SIGINT)
    return trainer.communicate()[0].strip(), blocked


ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
task = ray.remote(train)
seen = {
    "from Python": train(),
    "from a Ray task": ray.get(task.remote()),
    "from one, unblocked": ray.get(task.remote("unblocked")),
}
for name, (outcome, blocked) in seen.items():
    print(f"{name:22}  {outcome:11}  (blocked: {blocked})")
assert seen["from Python"] == seen["from one, unblocked"] == ("interrupted", "none")
assert seen["from a Ray task"] == ("works on", "SIGINT")
PYTHON

export RAY_USAGE_STATS_ENABLED=0 RAY_TMPDIR="$dir"
"$dir/venv/bin/python" "$dir/tasks.py" 2> "$dir/log" || { cat "$dir/log"; exit 1; }
