"""Which run descends from which."""

import json

from dlrun.report.tree import tree_lines
from dlrun.runs.descent import trees


def record(path, minute, **fields):
    started = f"2026-11-21T10:{minute:02}:00+0000"
    values = {"run": path, "run_dir": path, "started": started, "status": "completed"}
    return values | {"overrides": [], "config": {}} | fields


def names(nodes):
    return {node.name: names(node.children) for node in nodes}


def test_parents_weights_and_sweeps_make_trees(tmp_path):
    sweep = tmp_path / "sweeps/rates"
    sweep.mkdir(parents=True)
    (sweep / "sweep.json").write_text("{}")
    jobs = [record(f"{sweep}/{n}", 1) for n in range(9)]
    first, other = jobs[0]["run_dir"], jobs[1]["run_dir"]
    child = record("a/2026-11-21_10-02-00_cccc", 2, parent={"run_dir": first})
    tuned = record("b/tuned", 3, config={"init_from": child["run_dir"]}, resumed=[{}])
    lost = record("c/lost", 4, parent={"run_dir": "elsewhere/run", "started": "2020"})
    moved = record(
        "d/moved", 5, parent={"run_dir": f"/other/place/{'/'.join(other.split('/')[-2:])}"}
    )
    roots = trees([*jobs, child, tuned, lost, moved])
    below = {"a/2026-11-21_10-02-00_cccc": {"b/tuned": {}}}
    found = names(roots)
    assert list(found) == [str(sweep), "c/lost"]
    assert found[str(sweep)][first] == below
    assert found[str(sweep)][other] == {"d/moved": {}}
    shown = tree_lines(roots)
    assert "sweep, 9 of 9 runs completed" in shown
    assert "and 4 more runs" in shown
    assert "of elsewhere/run, which is not here" in shown
    assert "│  └─ a/2026-11-21_10-02-00_cccc\n│     └─ b/tuned  weights of it  resumed" in shown


def test_a_sweep_counts_the_runs_that_it_planned(tmp_path):
    folder = tmp_path / "sweeps/rates"
    folder.mkdir(parents=True)
    planned = [{"run_dir": str(folder / name), "status": "running"} for name in "0123"]
    planned[3]["status"] = "completed"  # removed since, or not shown
    (folder / "sweep.json").write_text(json.dumps({"runs": planned}))
    # The first was resumed alone, after the sweep was interrupted.
    shown = [record(f"{folder}/0", 1), record(f"{folder}/1", 2, status="interrupted")]
    [sweep] = trees(shown)
    assert "sweep, 2 of 4 runs completed" in tree_lines([sweep])
    assert (sweep.to_dict()["completed"], sweep.to_dict()["planned"]) == (2, 4)
    # A search makes up its runs as it goes.
    (folder / "sweep.json").write_text(json.dumps({"runs": planned, "runs_planned": 20}))
    assert "sweep, 2 of 20 runs completed" in tree_lines(trees(shown))
    (folder / "sweep.json").write_text("cut off")
    assert "sweep, 1 of 2 runs completed" in tree_lines(trees(shown))


def test_a_run_that_removes_a_part_says_so():
    first = record("a/first", 1, overrides=["seed=1"])
    second = record(
        "a/second",
        2,
        parent={"run_dir": "a/first"},
        overrides=["seed=1", "~callbacks.early_stopping", "epochs=3"],
    )
    assert "a/second  ~callbacks.early_stopping epochs=3" in tree_lines(trees([first, second]))


def test_a_sweep_in_a_bucket_is_one_too_and_what_a_parent_was_resumed_with_is_no_change(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("DLRUN_REMOTE", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    (tmp_path / "s3/lab/sweeps/rates").mkdir(parents=True)
    (tmp_path / "s3/lab/sweeps/rates/sweep.json").write_text("{}")
    resumed = [{"overrides": ["epochs=3"]}]
    first = record("s3://lab/sweeps/rates/0", 1, overrides=["seed=1"], resumed=resumed)
    typed = ["seed=1", "epochs=3", "loop=raw"]
    child = record("s3://lab/a/b", 2, parent={"run_dir": first["run_dir"]}, overrides=typed)
    second = record("s3://lab/sweeps/rates/1", 2, overrides=["seed=2", "batch_size=9"])
    first["overrides"].append("batch_size=9")
    [sweep] = trees([first, second, child])
    assert (sweep.name, len(sweep.children)) == ("s3://lab/sweeps/rates", 2)
    # What all runs of a sweep have in common would hide what they differ in.
    assert "s3://lab/sweeps/rates/1  seed=2\n" in tree_lines([sweep]) + "\n"
    assert "s3://lab/a/b  loop=raw\n" in tree_lines([sweep]) + "\n"


def test_a_renamed_parent_is_found_by_its_start_and_a_circle_ends():
    parent = record("x/baseline", 1)
    child = record("x/child", 2, parent={"run_dir": "x/old", "started": parent["started"]})
    assert names(trees([child, parent])) == {"x/baseline": {"x/child": {}}}
    one, two = (
        record("y/1", 3, parent={"run_dir": "y/2"}),
        record("y/2", 3, parent={"run_dir": "y/1"}),
    )
    assert names(trees([one, two])) == {"y/2": {"y/1": {}}}
