"""The documentation: what it says of commands and keys, where its links lead, and its commands."""

import importlib.util
import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml

from conftest import Dlrun
from dlrun.cli import app
from tables import write_all

ROOT = Path(__file__).parents[2]
OUTSIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "findings/README.md")]
PAGES = sorted([*OUTSIDE, *(ROOT / "docs").rglob("*.md")])
# The first line of a block that is a file: its path, as a comment.
NAMED = re.compile(r"# ([\w./-]+\.(?:py|ya?ml|sh|toml|txt))\n")
# What an option names: others in its defaults, and its target.
NAMES = r"^ *(?:- .*|_target_: .*)$"
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# RUN, key=VALUE, ..., <name>: words that a reader replaces.
PLACEHOLDER = re.compile(r"(.*=)?([A-Z][A-Z_]+(\.\.\.)?|<\w+>)|\.\.\.")
# A run or a sweep of whoever wrote the page, by its path or its id.
ANOTHERS_RUN = re.compile(r"(.*[/=])?\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\w{4}(/.*)?")
ANOTHERS_ID = re.compile(r"([\w-]+/)?(?!best|last|test)[a-z2-9]{4}(/\d+)?")
COMPOSES = ("train", "sweep", "config", "summary", "parity", "bench", "tune", "verify-resume")
TAKES_RUN = ("resume", "evaluate", "predict", "export", "compare", "diff", "report")
# These need a bucket, a cluster, a second process, a GPU, minutes or hours: parsed, and not run.
NOT_RUN = re.compile(
    r"s3://|--launcher|--storage|--nodes|device=(gpu|tpu)"
    r"|^reproduce|^doctor|^bench|^tune batch_size"
)
# Parses each command as it is typed, and composes its overrides; no framework is imported.
PARSING = """
import json, os, sys
import typer
from typer.testing import CliRunner
from dlrun.cli import app
from dlrun.config.compose import compose
from dlrun.config.project import Project
from dlrun.errors import DlrunError

def parsed(words):
    root = typer.main.get_command(app)
    with root.make_context("dlrun", list(words)) as context:
        name, command, rest = root.resolve_command(context, list(words))
        with command.make_context(name, list(rest), parent=context) as typed:
            return name, typed.params

def problem(words):
    try:
        name, params = parsed(words)
    except typer.Exit:
        return None  # --help
    except Exception as error:
        return str(getattr(error, "message", error))
    overrides = params.get("overrides") or []
    if name not in COMPOSES or params.get("resume"):
        return None
    project = Project.of(params.get("config_dir"), params.get("trust"))
    if name != "sweep":
        try:
            compose(overrides, project=project)
        except DlrunError as error:
            return f"{error.message}; {error.hint}"
        return None
    asked = ["sweep", "--dry-run", *overrides]
    asked += ["--search", params["search"]] if params.get("search") else []
    asked += project.to_words()
    result = CliRunner().invoke(app, asked)
    return result.stderr or repr(result.exception) if result.exit_code else None

COMPOSES = ("config",)
problem(["config"])  # imports what all of them need
for line in sys.stdin:
    place, COMPOSES, commands = json.loads(line)
    # Of pages with files, in a process for each: what it finds in a page's module it keeps.
    child = os.fork() if sys.argv[1] == "files" else None
    if not child:
        os.chdir(place)
        print(json.dumps([problem(words) for words in commands]), flush=True)
    if child == 0:
        os._exit(0)
    if child and os.waitpid(child, 0)[1]:
        print("null", flush=True)
"""


@dataclass(frozen=True)
class Command:
    """A command of a page: its words after ``dlrun``, and what the page shows below it.

    ``python FILE``, which runs a file of the page, has all of its words.
    """

    words: tuple[str, ...]
    output: str = ""

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def is_example(self) -> bool:
        """Whether a reader has to put something of his own in."""
        return any(map(PLACEHOLDER.fullmatch, self.words[1:]))

    @property
    def takes_latest(self) -> bool:
        """Whether it takes the newest run."""
        return any(re.fullmatch(r"(.*=)?latest", word) for word in self.words)

    @property
    def fails(self) -> bool:
        """Whether the page shows an error."""
        return re.search(r"^error: ", self.output, re.MULTILINE) is not None

    @property
    def runs(self) -> bool:
        """Whether it can be run as it is, in a directory with nothing but what the page made."""
        own = any(map(ANOTHERS_RUN.fullmatch, self.words[1:]))
        own |= self.name in TAKES_RUN and any(map(ANOTHERS_ID.fullmatch, self.words[1:]))
        return not (self.is_example or own or NOT_RUN.search(" ".join(self.words)))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and the text of each fenced block."""
    for indent, language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        yield language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def files(page: Path) -> dict[str, str]:
    """The files that a page shows, as a reader copies them, by their path."""
    named = ((NAMED.match(text), text) for _, text in blocks(page))
    return {name[1]: text for name, text in named if name}


def commands(page: Path) -> Iterator[Command]:
    """The ``dlrun`` commands of a page, in order, and those that run a file of the page."""
    for language, block in blocks(page):
        text = block.replace("\\\n", " ")
        if (named := NAMED.match(text)) and "workflows/" in named[1]:
            [job] = yaml.safe_load(text)["jobs"].values()
            for step in job["steps"]:
                yield from typed(step.get("run", ""))
        elif language == "bash":
            for line in text.splitlines():
                yield from typed(line)
        elif language == "console":
            for entry in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                line, _, output = entry.partition("\n")
                yield from typed(line, output)


def typed(line: str, output: str = "") -> Iterator[Command]:
    words = shlex.split(line, comments=True)
    ends = [at for at, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";", "&", "2>&1")]
    words = words[: ends[0]] if ends else words
    if words[:1] == ["dlrun"] and words[1:]:
        yield Command(tuple(words[1:]), output)
    elif words[:1] == ["python"] and words[1:2] and words[1].endswith(".py"):
        yield Command(tuple(words))


def write_files(page: Path, place: Path) -> None:
    """Write the files that a page shows."""
    for name, text in files(page).items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def used_files(page: Path) -> set[str]:
    """Those files of a page that its commands come to: options by name, then what these name."""
    shown = files(page)
    found = {name for name in shown if "workflows/" in name}  # their steps are the commands
    said = "\n".join(" ".join(command.words) for command in commands(page) if command.runs)
    for _ in shown:  # an option may name another, and that one a module
        for name in shown:
            place = Path(name)
            if place.suffix == ".py":
                named = rf"^python {re.escape(name)}$|(_target_: |function=){place.stem}\."
            else:
                group, option = re.escape(place.parent.name), re.escape(place.stem)
                named = rf"(^|[ +/]){group}(@[\w.]+)?(=\[?|: *)(\w+,)*{option}\b"
            is_word = re.search(rf"(^| ){re.escape(name)}( |$)", said, re.MULTILINE)
            if name not in found and (is_word or re.search(named, said, re.MULTILINE)):
                found.add(name)
                said += "\n" + "\n".join(re.findall(NAMES, shown[name], re.MULTILINE))
    return found


def prose(page: Path) -> str:
    """A page without its code."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", " "), text)


def anchors(page: Path) -> set[str]:
    """The names that a page's headings can be linked by."""
    found: set[str] = set()
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\s-]", "", plain).strip().lower()
        found.add(re.sub(r"\s", "-", slug))
    return found


WITH_COMMANDS = [page for page in PAGES if any(commands(page))]
# A generated page has an example for each option: they are parsed, and tested with the options.
BY_HAND = [
    page for page in WITH_COMMANDS if not page.read_text("utf-8").startswith("<!-- Generated")
]


def run(words: list[str], cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=240, check=False, **options
    )


def test_the_generated_pages_are_those_that_are_committed() -> None:
    done = run([sys.executable, "docs/generate.py", "--check"], ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def test_every_option_of_every_command_has_a_sentence_and_an_example() -> None:
    typed: dict[str, set[str]] = {}
    for page in PAGES:
        for command in commands(page):
            flags = (word.partition("=")[0] for word in command.words)
            typed.setdefault(command.name, set()).update(flags)
    lacking = []
    for name, command in typer.main.get_command(app).commands.items():
        for option in command.params:
            if option.param_type_name == "option" and option.name != "help" and not option.hidden:
                told = bool(option.help and option.help.endswith("."))
                words = {*option.opts, *option.secondary_opts}
                if not told or not typed.get(name, set()) & words:
                    lacking.append(f"dlrun {name} {option.opts[0]}")
    assert not lacking, (
        "no sentence that ends in a period, or no example in the command's help or in"
        f" docs/reference/option-examples.yaml: {', '.join(lacking)}"
    )


def test_examples_of_options_are_what_the_commands_take() -> None:
    root = typer.main.get_command(app).commands
    for command in commands(ROOT / "docs/reference/commands.md"):
        if command.name in root and "--help" not in command.words:
            root[command.name].make_context(command.name, list(command.words[1:]))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            lost.append(target)
    assert lost == []


WRITTEN = [page for page in PAGES if not page.read_text("utf-8").startswith("<!-- Generated")]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_every_paragraph_ends_with_a_sentence(page: Path) -> None:
    """One that is cut off within a sentence is what an edit has left."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", prose(page))]
    cut_off = [
        block[-60:]
        for block, following in itertools.pairwise([*blocks, ""])
        if block
        and not re.match(r"[#|<]|!\[|\*\*", block)  # headings, tables and pictures
        and not following.startswith(("- ", "1. "))
        and not re.search(r"[.:?!]\)?$", block)
    ]
    assert cut_off == []


# The page of the config shows the commands of the YAMLs, which tests/config composes.
COMPOSED = [page for page in WITH_COMMANDS if name_of(page) != "docs/reference/config.md"]


class Parser:
    """A process that has imported what parses a command, and where commands are as if typed.

    The shipped options are composed, and the tables read, once for all pages without files.
    """

    def __init__(self, place: Path, kind: str) -> None:
        self.place = place
        command = [sys.executable, "-c", PARSING, kind]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=place, text=True, **pipes)

    def problems(self, place: Path, shown: list[Command]) -> list[str | None]:
        """What is wrong with each command."""
        asked = [str(place), COMPOSES, [command.words for command in shown]]
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Parser]]:
    """Of pages with files and of those without, in a directory with tables of one's own."""
    kinds = ("files", "none")
    found = {kind: Parser(tmp_path_factory.mktemp(kind), kind) for kind in kinds}
    write_all(found["none"].place)
    yield found
    for parser in found.values():
        with parser.process:
            parser.process.stdin.close()


@pytest.mark.parametrize("page", COMPOSED, ids=name_of)
def test_every_command_parses_and_its_overrides_compose(
    page: Path, tmp_path: Path, parsers: dict[str, Parser]
) -> None:
    parser = parsers["files" if files(page) else "none"]
    place = tmp_path if files(page) else parser.place
    if files(page):
        write_all(place)  # the tables of one's own that the options' commands name
        write_files(page, place)
    for command in commands(page):
        if command.name == "python":
            run([sys.executable, *command.words[1:]], place)
    shown = [c for c in commands(page) if not (c.is_example or c.fails or c.name == "python")]
    problems = zip(shown, parser.problems(place, shown), strict=True)
    assert {" ".join(c.words): problem for c, problem in problems if problem} == {}


def smoke_sized(command: Command) -> list[str]:
    """A command's words, and those that make it short."""
    words = list(command.words)
    keys = {word.lstrip("+").partition("=")[0] for word in words}
    wanted: dict[str, str] = {}
    if command.name in ("train", "sweep", "parity", "verify-resume") and "--resume" not in keys:
        wanted = {"data.limit": "200"}
        if command.name in ("train", "sweep") and "^C" not in command.output:
            wanted["epochs"] = "1" if command.name == "sweep" else "2"
    if command.name == "verify-resume":
        wanted = {"data.limit": "1000", "epochs": "2"}
    for key, value in wanted.items():
        several = command.name == "sweep" and key in keys
        if not several:
            words = [word for word in words if not word.startswith(f"{key}=")]
            words.append(f"{key}={value}")
    if command.name == "parity":
        words += ["--steps", "2"]
    if "--search" in keys:
        words += ["--trials", "2"]
    return words


def run_as_shown(dlrun: Dlrun, command: Command) -> str:
    """Run a command; what is wrong with how it ended."""
    words = smoke_sized(command)
    if command.name == "python":
        made = run([sys.executable, *words[1:]], dlrun.cwd)
        return "" if made.returncode == 0 else f"exit code {made.returncode}: {made.stderr}"
    if "^C" in command.output:
        code, told = interrupted(dlrun, words)
        return "" if code == 130 else f"exit code {code}: {told}"
    done = dlrun(*words)
    # So little training may not reach what the page asks for; nothing else may fail.
    missed = re.search(r"^error: \S+ \S+ is (under|over) ", done.stderr, re.MULTILINE)
    expected = {1, 2} if command.fails else {0, 1} if missed or command.name == "parity" else {0}
    return "" if done.returncode in expected else f"exit code {done.returncode}: {done.stderr}"


def interrupted(dlrun: Dlrun, words: list[str]) -> tuple[int, str]:
    """Run a command, and press Ctrl-C when it has trained an epoch."""
    command = [str(Path(sys.executable).with_name("dlrun")), *words]
    with subprocess.Popen(command, cwd=dlrun.cwd, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("epoch "):
                process.send_signal(signal.SIGINT)
                break
        lines += process.stderr.readlines()
    return process.returncode, "".join(lines)


@pytest.mark.parametrize("page", [page for page in BY_HAND if files(page)], ids=name_of)
def test_every_file_of_a_page_is_used_by_its_commands(page: Path) -> None:
    assert set(files(page)) - used_files(page) == set()


BRIEF = "own-export"  # a page of which the commands run in seconds


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.trains if page.stem == BRIEF else pytest.mark.slow)
        for page in BY_HAND
    ],
    ids=name_of,
)
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, dlrun: Dlrun) -> None:
    write_files(page, dlrun.cwd)
    shown = [command for command in commands(page) if command.runs]
    failed = {}
    first = next((c for c in shown if c.name in ("train", *TAKES_RUN) or c.takes_latest), None)
    if first and (first.name != "train" or first.takes_latest):
        shown.insert(0, Command(("train",)))  # the page begins with a run that the reader has
    for command in shown:
        inputs = [Path(word) for word in command.words if Path(word).suffix in (".npz", ".npy")]
        reads = "--input" in command.words or any("data.path=" in w for w in command.words)
        if reads and not all((dlrun.cwd / str(p).partition("=")[2]).exists() for p in inputs):
            continue  # a file of the reader's own
        if problem := run_as_shown(dlrun, command):
            failed[" ".join(command.words)] = problem
    assert failed == {}


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs dlrun[docs]")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    done = run(build, ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/index.html").is_file()
