"""The command line: what it prints, where, and how it ends. Nothing here starts a framework."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import typer
import yaml

from calls import dlrun, refused
from dlrun import __version__
from dlrun.cli import COMMANDS as PANELS
from dlrun.cli import _without_multirun, app
from dlrun.completion.signatures import parameters
from dlrun.config.compose import compose, to_yaml
from dlrun.config.options import shipped_configs
from dlrun.config.project import Project
from dlrun.runs.directory import CONFIG, create_run

pytestmark = pytest.mark.usefixtures("cwd")

ROOT = Path(__file__).parents[1]
COMMANDS = [command for panel in PANELS.values() for command in panel]
FRAMEWORKS = {"keras", "jax", "tensorflow", "torch"}
CONFIG_LIBRARIES = {"hydra", "omegaconf"}
# Runs commands in one process: of each its exit code, stderr, and what is imported by then. The
# first that has a module which none may import is the command to look at.
PROBE = """
import json, sys
from typer.testing import CliRunner
from dlrun.cli import app
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, words)
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps([result.exit_code, result.stderr, loaded]))
"""


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["list"]])
def test_a_full_disk_below_the_output_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dlrun", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    expected = (1, "error: can't write to stdout: No space left on device\n")
    assert (done.returncode, done.stderr) == expected


# Help


def test_version() -> None:
    result = dlrun("--version")
    assert (result.exit_code, result.stdout) == (0, f"dlrun {__version__}\n")


def test_help_names_every_command() -> None:
    result = dlrun("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert re.search(rf"^\W*{command} ", result.stdout, re.MULTILINE)


def test_every_file_of_the_commands_is_a_command() -> None:
    files = {p.stem.replace("_", "-") for p in (ROOT / "src/dlrun/commands").glob("[a-z]*.py")}
    unnamed = files - {"arguments", "log", "terminal", "usage"} - set(COMMANDS)
    assert unnamed == set(), "name them in COMMANDS of src/dlrun/cli.py"


def test_every_command_has_a_row_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `dlrun ([\w-]+)", readme, re.MULTILINE)
    assert set(COMMANDS) - set(rows) == set(), "add a row to 'Commands' in README.md"
    assert sorted(rows) == sorted(COMMANDS), "README.md has a row twice, or of no command"


@pytest.mark.parametrize("words", [(), *((command,) for command in COMMANDS)])
def test_help_shows_an_example(words: tuple[str, ...]) -> None:
    result = dlrun(*words, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.search(rf"Examples?: *\n +dlrun {words[0] if words else ''}", result.stdout)
    assert "\\b" not in result.stdout
    [examples] = re.findall(r"Examples?:(.*?)\n *\n", result.stdout, re.DOTALL)
    assert all(line.startswith("   dlrun ") for line in examples.splitlines()[1:])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_short_help_is_the_long_help(command: str) -> None:
    assert dlrun(command, "-h").stdout == dlrun(command, "--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_no_type_of_what_takes_no_value(command: str) -> None:
    assert "<bool>" not in dlrun(command, "--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_that_a_number_has_a_range_by_the_range_alone(command: str) -> None:
    shown = dlrun(command, "--help").stdout
    assert " range>" not in shown
    assert command != "launch" or "<int> [x>=1]" in shown


def test_help_leaves_the_options_of_a_command_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = typer.main.get_command(app).commands["launch"]  # type: ignore[attr-defined]
    context = typer.Context(command, info_name="launch")
    before = [option.metavar for option in command.get_params(context)]
    command.get_help(context)
    assert [option.metavar for option in command.get_params(context)] == before
    assert "[x>=1]" in capsys.readouterr().out


def test_help_reflows_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a second paragraph that has several lines in the docstring."""
    monkeypatch.setenv("COLUMNS", "80")
    words = dlrun("verify-resume", "--help").stdout.split("Examples:")[0].splitlines()
    [at] = [n for n, line in enumerate(words) if line.startswith(" Trains twice")]
    assert [len(line.rstrip()) > 60 for line in words[at : at + 2]] == [True, True]
    assert "[OVERRIDES]..." in words[1] and "[[" not in words[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_example_as_it_is_typed(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also brackets, as in recall[cat]."""
    monkeypatch.setenv("COLUMNS", "200")
    [docstring] = [c.callback.__doc__ for c in app.registered_commands if c.name == command]
    examples = re.findall(r"^ +dlrun .+$", docstring, re.MULTILINE)
    shown = [line.strip() for line in dlrun(command, "--help").stdout.splitlines()]
    assert [line.strip() for line in examples if line.strip() not in shown] == []


def test_the_examples_of_train_and_config_compose() -> None:
    docstrings = "\n".join(str(command.callback.__doc__) for command in app.registered_commands)
    examples = re.findall(r"^ +dlrun (?:train|config|summary) (.+)$", docstrings, re.MULTILINE)
    assert len(examples) >= 6
    for example in examples:
        words = example.partition(" --plot ")[0].removeprefix("--from k3f9 ").split()
        compose([word for word in words if word[0] != "-"])


@pytest.mark.parametrize(
    "words", [["nosuch"], ["train", "--nosuch"], ["evaluate"], ["list", "model", "data"]]
)
def test_bad_usage_is_reported_on_stderr_with_exit_code_2(words: list[str]) -> None:
    result = dlrun(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch("error: .+\n\nhint: .+\n", result.stderr)


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ("trian", "dlrun has no command trian", "did you mean dlrun train?"),
        ("fit", "dlrun has no command fit", "did you mean dlrun train?"),
        ("help train", "dlrun has no command help", "did you mean dlrun train --help?"),
        ("version", "dlrun has no command version", "did you mean dlrun --version?"),
        ("epochs=3", "dlrun has no command epochs=3", "did you mean dlrun train epochs=3?"),
        ("zzz", "dlrun has no command zzz", "'dlrun --help' lists them"),
        ("--verison", "dlrun has no option --verison", "did you mean --version?"),
        ("train --quite", "dlrun train has no option --quite", "did you mean --quiet?"),
        ("train --epochs 3", "dlrun train has no option --epochs", "did you mean epochs=3?"),
        ("train -epochs=3", "dlrun train has no option -e", "did you mean epochs=3?"),
        ("train -qz", "dlrun train has no option -z", "'dlrun train --help' shows its arguments"),
        ("sweep -n3 seed=1,2", "dlrun sweep has no option -n", "'dlrun sweep --help' shows its"),
        ("train --device cuda", "no option --device", "did you mean device=gpu?"),
        ("predict --data n.csv", "no option --data", "did you mean --input n.csv?"),
        ("train --seed 3", "no option --seed", "did you mean seed=3?"),
        ("sweep --seed 3", "no option --seed", "did you mean seed=3?"),
        ("parity --seed", "no option --seed", "did you mean seed=VALUE?"),
        ("train --feed numpy", "no option --feed", "did you mean feed=numpy?"),
        ("train --init-from latest", "no option --init-from", "did you mean init_from=latest?"),
        ("train --export keras", "no option --export", "did you mean export=keras?"),
        ("train --workers 4", "no option --workers", "batches are gathered beside the training"),
        ("train --smoke", "no option --smoke", "did you mean smoke=true?"),
        ("train --Quiet", "no option --Quiet", "did you mean --quiet?"),
        ("bench --batch-size 3", "no option --batch-size", "did you mean batch_size=3?"),
        ("evaluate x --runs_dir y", "no option --runs_dir", "did you mean --runs-dir?"),
        ("evaluate x split=val", "split=val: 'split' is not a", "did you mean --split validation?"),
        ("evaluate x checkpoint=last", "an option of dlrun eva", "did you mean --checkpoint last?"),
        ("train from=latest", "an option of dlrun train", "did you mean --from latest?"),
        ("train seed=1 quiet=true", "quiet=true: 'quiet' is", "did you mean --quiet?"),
        ("train --needed true", "true is not an override", "an option such as --json takes no"),
        ("train --batch-size=32 -q", "no option --batch-size", "did you mean batch_size=32?"),
        ("train --lr 0.1", "no option --lr", "did you mean optimizer.learning_rate=0.1?"),
        ("evaluate k3f9 --gpu", "no option --gpu", "did you mean device=gpu?"),
        ("train --verbose", "no option --verbose", "dlrun train --quiet prints the result alone"),
        ("train --zzz", "no option --zzz", "'dlrun train --help' shows its arguments and options"),
        ("evaluate", "dlrun evaluate: missing argument RUN", "'dlrun evaluate --help' shows"),
        ("report x --by", "dlrun report: option --by requires an argument", "'dlrun report --"),
        ("list model data", "dlrun list: unexpected argument data", "'dlrun list --help' shows"),
        ("runs --limit x", "--limit x: must be a valid integer", "'dlrun runs --help' shows its"),
        ("runs --limit=x", "--limit=x: must be a valid integer", "'dlrun runs --help' shows its"),
        ("parity --steps 0", "--steps 0: must be greater", "'dlrun parity --help' shows its"),
    ],
)
def test_bad_usage_is_one_error_with_what_was_meant(words: str, error: str, hint: str) -> None:
    result = dlrun(*words.split())
    message, _, told = result.stderr.partition("\n\n")
    assert (result.exit_code, error in message, message.count("\n")) == (2, True, 0), message
    assert told.startswith(f"hint: {hint}"), told


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["evaluate", "latest", "--split", "val"], "did you mean validation?"),
        (["export", "latest", "--format", "pt"], "did you mean torch?"),
        (["export", "latest", "--format", "tflite"], "did you mean litert?"),
        (["tune", "lr"], "did you mean learning_rate?"),
    ],
)
def test_the_value_of_an_option_may_have_another_name_elsewhere(
    words: list[str], meant: str
) -> None:
    assert meant in refused(*words)


@pytest.mark.parametrize(
    ("words", "mistake", "meant"),
    [
        (["epochs", "3"], "epochs 3: expected key=value without spaces", "epochs=3"),
        (["epoch", "=", "3"], "epoch = 3: expected key=value without spaces", "epochs=3"),
        (["epochs=", "3", "seed=1"], "epochs= 3: expected key=value without", "epochs=3"),
        (["model", "mnist_mlp"], "model mnist_mlp: expected key=value", "model=mnist_mlp"),
        (["epochs = 3"], "epochs = 3: expected key=value without spaces", "epochs=3"),
        (["epochs==3"], "epochs==3: expected a single '='", "epochs=3"),
        (["epochs", "==", "3"], "epochs == 3: expected a single '='", "epochs=3"),
        (["epochs==", "3"], "epochs== 3: expected a single '='", "epochs=3"),
        (["tags=[a,", "b]"], "tags=[a, b]: expected key=value without", "'tags=[a,b]'"),
        (["tags=[a,", "b"], "tags=[a, b: expected key=value without", "'tags=[a,b]'"),
        (
            ["task.class_weight={a:", "[1,", "2"],
            "task.class_weight={a: [1, 2: expected",
            "'task.class_weight={a: [1,2]}'",
        ),
        (["tags=[", "a", "]"], "tags=[ a ]: expected key=value without", "'tags=[ a ]'"),
        (
            ["task.class_weight={0:", "1}"],
            "task.class_weight={0: 1}: expected",
            "'task.class_weight={0: 1}'",
        ),
        (["epochs", ":", "3"], "epochs : 3: expected key=value without spaces", "epochs=3"),
        (["epochs:", "3"], "epochs: 3: expected key=value without spaces", "epochs=3"),
        (["epochs:3"], "epochs:3 is not an override", "epochs=3"),
        (["epoch:3"], "epoch:3 is not an override", "epochs=3"),
        (["first_network"], "first_network is not an override", "experiment=first_network"),
        (["smoke"], "smoke is not an override", "smoke=true"),
        (["mnist_mpl", "jax"], "2 mistakes", "model=mnist_mlp, backend=jax"),
        (["help"], "help is not an override", "--help"),
    ],
)
@pytest.mark.parametrize("command", ["train", "sweep", "config"])
def test_words_that_lack_an_equals_sign_are_told_as_overrides(
    command: str, words: list[str], mistake: str, meant: str
) -> None:
    error = refused(command, *words)
    assert mistake in error
    assert error.endswith(f"hint: did you mean {meant}?\n")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["seed=1,", "2"], "seed=1,2"),
        (["seed=1", ",2"], "seed=1,2"),
        (["seed", "==", "1,", "2"], "seed=1,2"),
        (["model.units=[1,", "2],", "[3]"], "'model.units=[1,2],[3]'"),
    ],
)
def test_values_with_a_space_after_a_comma_are_a_sweep_and_in_a_run_a_list(
    words: list[str], meant: str
) -> None:
    assert refused("sweep", *words).endswith(f"hint: did you mean {meant}?\n")
    key, _, values = meant.strip("'").partition("=")
    for command in ("train", "config"):
        error = refused(command, *words)
        assert f"error: {' '.join(words)}: expected " in error
        assert error.endswith(
            f"hint: 'dlrun sweep' trains one run for each; for a list, type '{key}=[{values}]'\n"
        )


def test_brackets_that_do_not_fit_are_no_list_of_several_words() -> None:
    for command in ("train", "sweep"):
        error = refused(command, "tags=[a,", "b)")
        assert "2 mistakes" in error and "tags=[a,b)" not in error


# config and list


def test_config_prints_yaml_and_the_same_as_one_json_object() -> None:
    words = ["config", "model.units=256", "--json", "experiment=first_network"]
    printed = dlrun(*words)
    assert (printed.exit_code, printed.stderr) == (0, "")
    config = json.loads(printed.stdout)
    assert printed.stdout.count("\n") == 1
    assert (config["model"]["units"], config["epochs"]) == (256, 5)
    words.remove("--json")
    assert yaml.safe_load(dlrun(*words).stdout) == config


def test_options_and_overrides_may_be_mixed() -> None:
    config = json.loads(dlrun("config", "epochs=3", "--json", "batch_size=7").stdout)
    assert (config["epochs"], config["batch_size"]) == (3, 7)


def test_config_reads_options_from_config_dir(cwd: Path) -> None:
    (cwd / "mine/loop").mkdir(parents=True)
    (cwd / "mine/loop/mine.yaml").write_text("_target_: dlrun.loops.fit.fit\n", encoding="utf-8")
    config = json.loads(dlrun("config", "loop=mine", "--config-dir", "mine", "--json").stdout)
    assert config["choices"]["loop"] == "mine"


def test_list_prints_each_option_with_its_line() -> None:
    lines = dlrun("list").stdout.splitlines()
    assert "model" in lines
    [line] = [line for line in lines if line.startswith("  mnist_mlp ")]
    assert "407,050 parameters" in line


def test_list_prints_one_group_and_as_json_one_object() -> None:
    assert "adam" not in dlrun("list", "backend").stdout
    options = json.loads(dlrun("list", "backend", "--json").stdout)
    assert list(options) == ["backend"]
    assert list(options["backend"]) == ["jax", "numpy", "tensorflow", "torch"]


@pytest.mark.parametrize(
    ("group", "meant"),
    [
        ("optimizr", "did you mean optimizer?"),
        ("xyz", "one of backend,"),
        ("mnist_mlp", "did you mean model?"),
    ],
)
def test_list_refuses_an_unknown_group(group: str, meant: str) -> None:
    assert meant in refused("list", group)


# Commands that need a run or a backend, refused before either is used


@pytest.fixture(scope="module")
def config() -> str:
    return to_yaml(compose([], project=Project(shipped_configs())))


@pytest.fixture
def run(cwd: Path, config: str) -> str:
    """A run that has no checkpoint yet."""
    path = cwd / "runs/mnist_mlp/2026-11-21_10-04-31_k3f9"
    record = {"status": "running", "input_shape": [28, 28]}
    create_run(path, record, {CONFIG: config})
    return str(path)


def files(cwd: Path) -> set[str]:
    return {str(path.relative_to(cwd)) for path in cwd.rglob("*")}


@pytest.mark.parametrize(
    "words",
    [
        ["epochs=0"],
        ["backend=numpy"],
        ["backend.name=nosuch"],
        ["model=mnist_mpl", "--export-keras", "--json"],
        ["--config-dir", "nosuch", "--quiet"],
    ],
    ids=" ".join,
)
def test_train_refuses_and_creates_nothing(cwd: Path, words: list[str]) -> None:
    assert "hint: " in refused("train", *words) or words == ["epochs=0"]
    assert files(cwd) == set()


def test_train_with_the_numpy_backend_names_one_that_can() -> None:
    assert re.search(
        r"'numpy' can't train.*\n\nhint: choose backend=\w", refused("train", "backend=numpy")
    )


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latest", "--runs-dir", "nosuch"], "no runs in nosuch"),
        (["nosuch"], "no run directory at nosuch"),
        (["lastest"], "did you mean latest?"),
        (["k3f"], "did you mean runs/mnist_mlp/2026-11-21_10-04-31_k3f9?"),
        (["mnist_mpl"], "did you mean runs/mnist_mlp/2026-11-21_10-04-31_k3f9?"),
        (["runs"], "newest run in it is runs/mnist_mlp/2026-11-21_10-04-31_k3f9"),
        (["mnist_mlp"], "hint: runs/mnist_mlp has 1 run; the newest is 2026-11-21_10-04-31_k3f9"),
        (["."], ". is not a run directory: it has no run.json"),
        (["latest", "--checkpoint", "bst"], "did you mean best?"),
        (["latest", "backend=trch"], "did you mean backend=torch?"),
        (["latest", "epochs=3"], "epochs=3: can't change here"),
        (["latest"], "has no checkpoint"),
    ],
)
def test_an_unusable_run_is_reported(
    cwd: Path, run: str, command: str, words: list[str], message: str
) -> None:
    before = files(cwd)
    assert message in refused(command, *words)
    assert files(cwd) == before


def test_a_name_that_is_typed_in_part_has_the_newest_run_of_that_name_as_a_hint(
    cwd: Path, config: str
) -> None:
    for name in ("2026-11-22_10-04-31_b2b2", "2026-11-21_10-04-31_k3f9"):
        create_run(cwd / "runs/mnist_mlp" / name, {"status": "completed"}, {CONFIG: config})
    create_run(cwd / "runs/mnist_mlp/2026-11-23_10-04-31_c3c3", {"status": "failed"}, {})
    newest = "runs/mnist_mlp/2026-11-22_10-04-31_b2b2"
    assert f"did you mean {newest}?" in refused("show", "mnist")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "tst"], "did you mean test?"),
        (["--fail-under", "accuracy"], "expected metric=number"),
        (["--fail-under", "accuracy=high"], "expected metric=number"),
        (["--fail-under", "accuracy=nan"], "nothing is under nan"),
        (["--fail-under", "acuracy=0.9"], "did you mean --fail-under accuracy=0.9?"),
        (["--fail-under", "loss=0.3"], "hint: --fail-over loss=0.3"),
        (["--fail-over", "rmse=5"], "did you mean --fail-over root_mean_squared_error=5?"),
        (["--fail-over", "load=5"], "such as recall[CLASS] or r2[NUMBER]"),
        (["--fail-over", "accuracy=0.9"], "hint: --fail-under accuracy=0.9"),
        (["--fail-over", "los=0.3"], "did you mean --fail-over loss=0.3?"),
        (["--fail-over", "loss=nan"], "nothing is over nan"),
    ],
)
def test_evaluate_refuses_a_bad_option(run: str, words: list[str], message: str) -> None:
    assert message in refused("evaluate", run, *words)


@pytest.mark.parametrize("words", [["epochs", "=", "3"], ["epochs", "=3"], ["epochs=", "3"]])
@pytest.mark.parametrize("before", [[], ["--split", "test"], ["backend=numpy"]])
def test_evaluate_tells_an_override_with_spaces_from_runs(
    run: str, before: list[str], words: list[str]
) -> None:
    assert "did you mean epochs=3?" in refused("evaluate", run, *before, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "out.txt"], "expected a name that ends in .npz or .csv"),
        (["--output", "no/out.npz"], "there is no directory no"),
        (["--input", "nosuch.npy"], "no such file"),
        (["--input", "digits.txt"], "expected a .npy or .npz file"),
    ],
)
def test_predict_refuses_a_bad_option(cwd: Path, run: str, words: list[str], message: str) -> None:
    before = files(cwd)
    assert message in refused("predict", run, *words)
    assert files(cwd) == before


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["evaluate", "new.csv"], "dlrun evaluate latest --data new.csv"),
        (["predict", "new.csv"], "dlrun predict latest --input new.csv"),
        (["predict", "RUN", "--input", "photo.png"], "hint: numpy.save('new.npy', samples), as"),
        (["evaluate", "RUN", "--data", "new.npz"], "hint: leave the overrides of data out, or"),
    ],
)
def test_samples_in_the_place_of_a_run_or_for_another_sort_of_run_say_what_to_type(
    cwd: Path, run: str, words: list[str], hint: str
) -> None:
    for name in ("new.csv", "photo.png", "new.npz"):
        (cwd / name).write_text("a,b\n1,2\n")
    assert hint in refused(*[run if word == "RUN" else word for word in words])


def test_a_damaged_record_of_a_run_is_named(run: str) -> None:
    Path(run, CONFIG).write_text("- no\n- config\n", encoding="utf-8")
    assert "config.yaml is not a config" in refused("evaluate", run)


# What is imported


def imported_by(*typed: list[str]) -> list[tuple[int, str, set[str]]]:
    """The exit code of each command, its stderr, and the packages that are imported by then."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(typed)], capture_output=True, text=True, check=True
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [(code, stderr, set(loaded)) for code, stderr, loaded in told]


def test_help_imports_neither_hydra_nor_numpy_nor_a_framework() -> None:
    typed = [["--help"], *([command, "--help"] for command in COMMANDS)]
    for words, (code, _, loaded) in zip(typed, imported_by(*typed), strict=True):
        assert code == 0
        assert loaded & {*CONFIG_LIBRARIES, *FRAMEWORKS, "numpy", "yaml"} == set(), words


def test_no_framework_is_imported_to_compose_or_refuse() -> None:
    typed = [
        (["train", "epochs=0", "model=mnist_mpl"], 2),
        (["train", "backend=numpy"], 2),
        (["evaluate", "nosuch"], 2),
        (["summary", "model=mnist_mpl"], 2),
        (["summary", "--plot", "model.jpg"], 2),
        (["config"], 0),
        (["config", "+model.unit=3"], 2),
        (["list"], 0),
    ]
    answers = imported_by(*(words for words, _ in typed))
    for (words, expected), (code, _, loaded) in zip(typed, answers, strict=True):
        assert code == expected, words
        assert loaded & {*FRAMEWORKS, "numpy", "hydra_plugins"} == set(), words


def test_no_framework_is_imported_before_the_run_is_found() -> None:
    takers = [command for command in COMMANDS if any(p.is_run for p in parameters(command)[:1])]
    assert {"show", "compare", "evaluate", "resume"} <= {*takers}
    known = typer.main.get_command(app).commands
    asked = {}
    for command in takers:
        required = [p for p in known[command].params if p.required]
        asked[command] = ["nosuch"] * (2 if required[0].nargs == -1 else len(required))
    answers = imported_by(*([command, *words] for command, words in asked.items()))
    for command, (exit_code, error, loaded) in zip(asked, answers, strict=True):
        assert (exit_code, "error: no run directory at nosuch" in error) == (2, True), command
        assert FRAMEWORKS & loaded == set(), f"imported at module level: dlrun {command} NOSUCH"


def test_the_module_and_the_script_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("dlrun")
    for program in ([sys.executable, "-m", "dlrun"], [str(script)]):
        done = subprocess.run(
            [*program, "config", "epoch=3"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "error: epoch=3: 'epoch' is not a config key\n\nhint: did you mean epochs=3?\n"
        )


def test_the_json_of_config_is_the_config() -> None:
    assert json.loads(dlrun("config", "--json").stdout) == asdict(compose([]))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("-m seed=1,2", "seed=1,2"),
        ("seed=1,2 --multirun --jobs 2", "seed=1,2 --jobs 2"),
        ("-qm seed=1,2", "-q seed=1,2"),
        ("-mq seed=1,2", "-q seed=1,2"),
        ("-mj 2 seed=1,2", "-j 2 seed=1,2"),
        ("-mj2 seed=1,2", "-j2 seed=1,2"),
        ("-jm", "-jm"),
        ("-", "-"),
        ("-jj -m", "-jj"),
        ("--trust -m seed=1", "--trust -m seed=1"),
        ("--trust -m -m seed=1", "--trust -m seed=1"),
        ("--trust=m --json model=m", "--trust=m --json model=m"),
        ("seed=1 -- -m", "seed=1 -- -m"),
    ],
)
def test_multirun_is_removed_where_it_is_an_option(typed: str, expected: str) -> None:
    assert _without_multirun(typed.split(), {"--trust", "--jobs", "-j"}) == expected.split()


def test_train_m_takes_the_options_of_sweep(cwd: Path) -> None:
    for words in (["-m"], ["-qm"], ["--multirun"]):
        result = dlrun("train", *words, "seed=1,2", "--dry-run", "--json")
        assert result.exit_code == 0, result.stderr
        assert [run["overrides"] for run in json.loads(result.stdout)["runs"]] == [
            ["seed=1"],
            ["seed=2"],
        ]
    assert "error: --trust '-m'" in refused("train", "--trust", "-m", "seed=1")


@pytest.mark.parametrize("words", [["summary"], ["compare", "a", "b"]], ids=lambda words: words[0])
def test_an_unknown_plot_format_gives_the_same_error(cwd: Path, words: list[str]) -> None:
    assert refused(*words, "--plot", "a.jpg") == (
        "error: --plot a.jpg: expected a name that ends in .png, .svg, .pdf\n\nhint: --plot a.png\n"
    )
    assert "error: --plot . is a directory" in refused(*words, "--plot", ".")
