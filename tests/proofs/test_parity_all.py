"""``dlrun parity --all``: the backends compared on each option of a group."""

import pytest

MODELS = """
import keras

def build(input_shape, num_classes, scale=1.0, fails=False):
    if fails and keras.backend.backend() == "numpy":
        raise RuntimeError("no such kernel here")
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(num_classes)(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, x * (scale if keras.backend.backend() == "numpy" else 1.0))
"""


@pytest.fixture
def project(dlrun):
    """Models of the user's own: one that is off on numpy, one that fails there."""
    (dlrun.cwd / "my_models.py").write_text(MODELS)
    group = dlrun.cwd / "configs" / "model"
    group.mkdir(parents=True)
    for name, extra in (("bent", "scale: 1.01\n"), ("broken", "fails: true\n")):
        (group / f"{name}.yaml").write_text(f"_target_: my_models.build\n{extra}")
    return dlrun


@pytest.mark.slow
def test_text_attention_and_a_metric_agree_on_all_backends(dlrun):
    result = dlrun.json(
        *("parity", "--all", "--steps", "20", "--output", "table.md"),
        *("--select", "model=text_attention", "--select", "metrics=auc"),
        *("--select", "optimizer=torch_sgd"),
    )
    assert result["beyond"] == []
    *compared, alone = result["rows"]
    assert [row["option"] for row in compared] == ["text_attention", "auc"]
    for row in compared:
        assert list(row["result"]["members"]) == ["jax", "tensorflow", "torch", "numpy"]
        assert row["result"]["steps"]["count"] == 20
        # Backends that compute the same differ by rounding: a difference of 0 would be suspicious.
        assert 0 < max(row["result"]["steps"]["differences"].values()) < 1e-5
    assert "auc" in compared[-1]["result"]["metrics"]["final"]
    assert (alone["only"], alone["result"]) == ("torch", None)
    table = (dlrun.cwd / "table.md").read_text()
    assert "## optimizer\n" in table
    assert "| `torch_sgd` | for torch alone |" in table
    assert table.count("(1e-05 in 20)") == 2


def test_an_option_beyond_its_tolerance_or_that_fails_is_a_row_and_ends_with_1(project):
    selected = [word for n in ("bent", "broken") for word in ("--select", f"model={n}")]
    done = project(
        "parity", "--all", "--json", "--steps", "3", "--backends", "jax,numpy", *selected
    )
    assert done.returncode == 1
    assert "beyond tolerance: model=bent, model=broken" in done.stderr
    result = project.parse(done.stdout)
    bent, broken = result["rows"]
    assert set(bent["result"]["beyond"]) == {"numpy"}
    assert "numpy: " in broken["error"]
    assert "no such kernel here" in broken["error"]
    table = (project.cwd / result["output"]).read_text()
    assert "| `broken` | failed: numpy: " in table
    [row] = [line for line in table.splitlines() if line.startswith("| `bent`")]
    assert "**" in row


def test_an_option_whose_command_reads_a_file_of_the_users_is_left_out_without_it(dlrun):
    done = dlrun("parity", "--all", "--select", "model=forecaster", "--output", "table.md")
    assert done.returncode == 0, done.stderr
    assert "0 of 0 options agree, 1 for data of your own: table.md" in done.stderr + done.stdout
    assert (
        "| `forecaster` | needs load.csv, or data.path=FILE |"
        in (dlrun.cwd / "table.md").read_text()
    )


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--all", "--select", "optimiser"), "--select optimiser", "did you mean optimizer?"),
        (("--all", "--select", "loss=kl"), "no such option in group 'loss'", "loss=kl_divergence"),
        (("--all", "--loops"), "--all compares backends", "--loops"),
        (("--all", "--backends", "jax"), "--backends jax: there is nothing to compare", "doctor"),
        (("--all", "backend=torch"), "but parity compares several", "--backends jax,torch"),
        (("--select", "model"), "--select goes with --all", "add --all"),
    ],
)
def test_a_wrong_option_is_one_line_and_starts_nothing(dlrun, words, message, hint):
    done = dlrun.here("parity", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert hint in done.stderr
    assert not (dlrun.cwd / "runs").exists()
