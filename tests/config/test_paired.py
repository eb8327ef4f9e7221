"""Sweeps in pairs, from a file, and under a condition; many configs at once."""

from dataclasses import asdict

import pytest

from dlrun.config.compose import compose
from dlrun.config.sweeps.compose_many import Composer
from dlrun.config.sweeps.expand import expand
from dlrun.config.sweeps.run_list import read_runs
from dlrun.errors import DlrunError

PAIRS = [
    ["optimizer.learning_rate=1e-3", "batch_size=64"],
    ["optimizer.learning_rate=1e-2", "batch_size=512"],
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        "optimizer.learning_rate=1e-3,1e-2 batch_size=64,512",
        "optimizer.learning_rate=[1e-3,1e-2],batch_size=[64,512]",
        "optimizer.learning_rate=[1e-3,1e-2], batch_size=choice(64, 512)",
        "optimizer.learning_rate=[1e-3, 1e-2] batch_size=range(64,513,448)",
    ],
)
def test_pairs_are_one_dimension_in_either_syntax(members):
    assert expand([f"pair=zip({members})"]) == (["optimizer.learning_rate", "batch_size"], PAIRS)


def test_pairs_choose_options_and_combine_with_other_dimensions():
    keys, runs = expand(
        ["net=zip(model=mnist_mlp,mnist_convnet metrics=[auc],[f1,auc])", "seed=1,2"]
    )
    assert keys == ["seed", "model", "metrics"]
    nets = [["model=mnist_mlp", "metrics=[auc]"], ["model=mnist_convnet", "metrics=[f1,auc]"]]
    assert runs == [[seed, *net] for seed in ("seed=1", "seed=2") for net in nets]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pair=zip(seed=1,2 epochs=1)", "as many values of each key, got seed 2, epochs 1"),
        ("pair=zip(seed=1,2)", "pairs at least two keys"),
        ("seed=zip(seed=1,2 epochs=1,2)", "'seed' is not a name for pairs"),
        ("pair=zip(seed=1,2 seed=3,4)", "'seed' stands twice"),
        ("pair=zip(1,2 seed=3,4)", "'1' has no key"),
        ("pair=zip(seed=interval(0,1),epochs=[1,2])", "not interval"),
        ("pair=zip(seed=[],epochs=[1])", "seed: has no values"),
        ("pair=shuffle(zip(seed=1,2 epochs=1,2))", "can't be shuffled"),
        ("optimizer.momentum=where(0.0,0.9)", "expected a condition and values"),
        ("optimizer.momentum=where(optimizer=sgd,0.9)", "no run has optimizer=sgd"),
    ],
)
def test_wrong_pairs_and_conditions_are_refused(override, message):
    with pytest.raises(DlrunError) as refused:
        expand([override])
    assert message in refused.value.message
    with pytest.raises(DlrunError, match="'seed', which already has values"):
        expand(["pair=zip(seed=1,2 epochs=1,2)", "seed=3"])


def test_a_key_under_a_condition_has_values_only_where_it_holds():
    where = "optimizer.momentum=where(optimizer=sgd,0.0,0.9)"
    keys, runs = expand(["optimizer=adam,sgd", where])
    assert keys == ["optimizer", "optimizer.momentum"]
    assert runs == [
        ["optimizer=adam"],
        ["optimizer=sgd", "optimizer.momentum=0.0"],
        ["optimizer=sgd", "optimizer.momentum=0.9"],
    ]
    either = "optimizer.weight_decay=where(optimizer=adam|adamw,0.1)"  # adam is the default
    assert expand(["seed=1,2", either])[1][0] == ["seed=1", "optimizer.weight_decay=0.1"]


def test_runs_are_read_from_a_table_and_from_yaml(tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text("optimizer.learning_rate,batch_size,name\n1e-3,64,\n1e-2,512,a b\n")
    rows = read_runs(table).rows
    assert rows == [PAIRS[0], [*PAIRS[1], "name=a b"]]
    listed = tmp_path / "runs.yaml"
    listed.write_text('- {data.limit: null, metrics: [auc], smoke: true}\n- ["seed=1"]\n')
    rows = read_runs(listed).rows
    assert rows == [["data.limit=null", "metrics=[auc]", "smoke=true"], ["seed=1"]]
    for name, text, message in (
        ("a.csv", "seed,seed\n1,2\n", "a different key in each column"),
        ("b.csv", "seed,epochs\n1\n", "line 2: has 1 cells, expected 2"),
        ("c.yaml", "seed: 1\n", "it is not a list"),
        ("d.csv", "seed\n", "has 0 runs"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DlrunError, match=message):
            read_runs(tmp_path / name)
    with pytest.raises(DlrunError, match="--runs sets 'batch_size' too"):
        expand(["batch_size=1,2"], listed=read_runs(table))


def test_many_configs_are_those_that_are_composed_one_by_one():
    composed = []

    def count(lines):
        composed.append(lines)
        return compose(lines)

    runs = [
        ["model.units=8", "optimizer=sgd", f"seed={n}", f"optimizer.learning_rate={rate}"]
        for n, rate in enumerate(("1", "0.5", "1e-3", "2", "0.25", "1e-2"))
    ]
    # A key that another follows, one of another type, and one that holds nothing yet.
    runs += [["smoke=true", f"seed={n}"] for n in range(3)]
    runs += [["data.validation_samples=100"], ["data.validation_samples=200"]]
    runs += [["data.limit=100"], ["data.limit=200"], ["model.units=8"], ["model.units=8.5"]]
    # A seed that the data refer to, unless they have their own.
    runs[-2:-2] = [["data=blobs", f"seed={n}"] for n in range(6)]
    runs[-2:-2] = [["data=blobs", "data.seed=7", f"seed={n}"] for n in range(6)]
    many = Composer(count)
    for lines in runs[:-1]:
        assert asdict(many(lines)) == asdict(compose(lines)), lines
    assert len([lines for lines in composed if "optimizer=sgd" in lines]) <= 4
    assert len([lines for lines in composed if "data=blobs" in lines]) <= 4
    for wrong in (["batch_size=0"], runs[-1], ["seed=1", "model.unit=3"]):
        many(["batch_size=1"])
        with pytest.raises(DlrunError) as one:
            compose(wrong)
        with pytest.raises(DlrunError) as same:
            many(wrong)
        assert same.value.message == one.value.message
