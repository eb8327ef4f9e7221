"""A job in a process of its own: its answer, or why there is none."""

import os

import pytest

from dlrun.errors import DlrunError
from dlrun.system.child_job import ChildJob

MODULE = """
from dlrun.errors import DlrunError
from dlrun.system.child_job import answer_job

def do(job):
    if job["number"] == 0:
        raise DlrunError("nothing to double", hint="1", exit_code=2)
    return {"doubled": 2 * job["number"], "unknown": job["key"]}

answer_job(do)
"""


@pytest.fixture
def run(tmp_path):
    """Does a job; returns its answer."""
    (tmp_path / "my_job.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def run(**job):
        environment = {"PYTHONPATH": path}
        with ChildJob("my_job", job, folder=tmp_path, name="one", environment=environment) as child:
            return child.wait()

    return run


def test_the_answer_of_a_job_is_what_its_function_returns(run):
    assert run(number=3, key="a") == {"doubled": 6, "unknown": "a"}


def test_what_a_job_raises_is_raised_where_it_is_awaited(run):
    with pytest.raises(DlrunError, match="nothing to double") as refused:
        run(number=0)
    assert (refused.value.hint, refused.value.exit_code) == ("1", 2)
    with pytest.raises(DlrunError, match="KeyError: key") as unforeseen:
        run(number=3)
    assert unforeseen.value.exit_code == 1
