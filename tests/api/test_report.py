"""``dlrun report``: what the page of a run and of a sweep holds."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import auc, confusion_matrix, precision_recall_curve, roc_auc_score

from conftest import FRAMEWORKS
from dlrun.api.report import report
from dlrun.data.mnist import mnist
from dlrun.errors import DlrunError
from dlrun.report.page.sweep_page import sweep_page
from dlrun.report.page.sweep_view import read_sweep
from evaluations import write_evaluation, write_sweep, write_table
from pages import Page
from trainings import worker

pytestmark = pytest.mark.trains
NAMES = ["true", "class", *(f"digit {number}" for number in range(2, 10))]
SAMPLES = 400
MARKUP = "</script><script>window.canary=1</script><img src=x onerror=window.canary=1>\"'&"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of the MLP on MNIST with its evaluation: its directory, probabilities and labels."""
    home = tmp_path_factory.mktemp("made")
    process = worker("jax")
    run = process.train(home, "epochs=3", f"data.limit={SAMPLES}")["path"]
    process.predict(home, run, Path("out.npz"))
    with np.load(home / "out.npz") as saved:
        probabilities = saved["predictions"].astype(np.float64)
    labels = mnist(validation_samples=10_000, limit=SAMPLES).test.labels.astype(int)
    write_evaluation(run / "evaluation", probabilities, labels, NAMES)
    return run, probabilities, labels


@pytest.fixture(scope="module")
def page(made):
    """Its page."""
    return Page(Path(report(str(made[0]))["report"]))


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """A copy of the run that a test may change."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made[0], tmp_path / "runs/mnist_mlp" / made[0].name))


def figures(cells):
    """Cells as numbers."""
    return [float(cell.replace(",", "").removesuffix(" %")) for cell in cells]


def test_it_shows_the_result_the_curves_and_how_to_run_it_again(made, page):
    record = json.loads((made[0] / "run.json").read_text())
    caption = f"Loss and metrics with the weights of epoch {record['best_epoch']}"
    for split in ("train", "validation", "test"):
        expected = [record[split]["loss"], record[split]["accuracy"]]
        assert figures(page.column(caption, split)) == pytest.approx(expected, abs=5e-5)
    rows = np.genfromtxt(made[0] / "metrics.csv", delimiter=",", names=True)
    shown = figures(page.column("loss, the numbers", "validation"))
    assert shown == pytest.approx(rows["val_loss"], abs=5e-5)
    assert "dlrun train backend=jax epochs=3 data.limit=400" in page.words.replace("'", "")
    versions = dict(page.tables["Versions"][1:])
    assert versions == record["versions"]
    assert "pip install dlrun==" in page.words
    keys = dict(row[:2] for row in page.tables["The resolved config"][1:])
    assert (keys["data.limit"], keys["model.units"]) == ("400", "512")


def test_its_evaluation_is_that_of_the_predictions(made, page):
    _, probabilities, labels = made
    _, *rows = page.tables["Confusion matrix: rows are true classes, columns predicted ones"]
    counts = confusion_matrix(labels, probabilities.argmax(1), labels=range(10))
    assert [row[0] for row in rows] == NAMES
    assert [figures(row[1:]) for row in rows] == counts.tolist()
    areas = dict(page.tables["Area below each line"][1:])  # the last one: precision over recall
    curves = [precision_recall_curve(labels == n, probabilities[:, n]) for n in range(10)]
    expected = [auc(recall, precision) for precision, recall, _ in curves]
    assert [float(areas[name]) for name in NAMES] == pytest.approx(expected, abs=5e-5)
    assert f"digit 3 {roc_auc_score(labels == 3, probabilities[:, 3]):.4f}" in page.text
    wrong = page.column("The samples that it got most wrong", "label")
    losses = -np.log(np.maximum(probabilities[np.arange(SAMPLES), labels], 1e-9))
    assert wrong == [NAMES[labels[at]] for at in np.argsort(-losses)[:20]]


def test_it_shows_data_and_model(made, page):
    _, _, labels = made
    counts = np.bincount(mnist(validation_samples=10_000, limit=SAMPLES).train.labels)
    assert figures(page.column("Classes of labels: 10", "samples")) == counts.tolist()
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 10 * 6 + 20
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert all(image["alt"] for image in images)
    assert all(image.get("loading") != "lazy" for image in images)  # there before it is scrolled to
    names = page.column("Layers, in the model's order", "layer")
    sizes = page.column("Layers, in the model's order", "parameters")
    assert dict(zip(names, sizes, strict=True)) == {
        "flatten": "0",
        "hidden": "401,920",
        "logits": "5,130",
    }
    assert "Graph of mnist_mlp" in page.text
    assert len(labels) == SAMPLES


def test_it_is_one_small_file_that_asks_for_nothing(page):
    assert len(page.text) < 500_000
    addresses = [a[k] for _, a in page.tags for k in ("src", "href", "action", "data") if k in a]
    assert all(address.startswith(("data:image/png;", "#")) for address in addresses)
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert not any(name == "style" for _, attributes in page.tags for name in attributes)
    assert page.count("link") == page.count("iframe") == 0
    [policy] = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:")
    assert "unsafe" not in policy


def test_no_framework_is_imported_and_the_page_lies_in_the_run(dlrun, run):
    done, imported = dlrun.traced("report", "latest")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{run.relative_to(dlrun.cwd)}/report.html\n"
    assert not FRAMEWORKS & imported


def test_without_the_data_there_is_no_example_of_them(run):
    result = report("latest", output=Path("page.html"), with_data=False)
    page = Page(Path("page.html"))
    assert (result["report"], result["bytes"]) == ("page.html", len(page.text.encode()))
    assert page.count("img") == 0
    assert "Left out by --no-data" in page.words
    assert "400 samples" in page.words  # as recorded


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("metrics.csv", "There is no metrics.csv"),
        ("evaluation", "/evaluation\ndlrun report "),
        ("model.json", "kept no graph"),
        ("checkpoints", ""),
        ("inputs.json", ""),
    ],
)
@pytest.mark.parametrize("way", ["missing", "damaged"])
def test_what_is_missing_or_damaged_is_left_out(run, name, told, way):
    place = run / name
    files = list(place.rglob("*.*")) if place.is_dir() else [place]
    if way == "missing":
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    else:
        for file in files:
            file.write_bytes(b"\xff{")
    page = Page(Path(report("latest", with_data=False)["report"]))
    assert told in page.words
    assert "Run it again" in page.words


def test_names_and_values_of_a_run_make_no_markup(run, made):
    """Every text that a run's files hold, its classes included."""

    def poisoned(value, place=""):
        if isinstance(value, dict):
            return {
                f"{key}{MARKUP}" if place else key: poisoned(v, "x") for key, v in value.items()
            }
        if isinstance(value, list):
            return [poisoned(inner, "x") for inner in value]
        return f"{value}{MARKUP}" if isinstance(value, str) else value

    record = json.loads((run / "run.json").read_text())
    parts = {key: poisoned(value, "x") for key, value in record.items() if key != "status"}
    parts |= {"error": MARKUP, "traceback": MARKUP, "status": "failed" + MARKUP}
    (run / "run.json").write_text(json.dumps({**record, **parts}))
    model = json.loads((run / "model.json").read_text())
    for entry in (*model["layers"], *model["graph"]["boxes"]):
        entry |= {"name": entry["name"] + MARKUP, "type": MARKUP}
    (run / "model.json").write_text(json.dumps(model | {"name": MARKUP}))
    write_evaluation(run / "evaluation", *made[1:], [name + MARKUP for name in NAMES])
    text = (run / "metrics.csv").read_text()
    quoted = MARKUP.replace('"', '""')
    (run / "metrics.csv").write_text(text.replace(",loss", f',"loss{quoted}"'))
    page = Page(Path(report("latest", with_data=False)["report"]))
    assert page.count("script") == 2
    assert page.count("img") == 0
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert MARKUP in page.words


ODD = (None, True, 0, -1, 1e308, "x", [], {}, ["a"], {"a": 1}, [[]], 10**30, "nan", "inf", "\ud800")


def mutated(value, draw):
    """A value some of whose parts are of another type."""
    if draw.random() < 0.08:
        return draw.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(inner, draw) for key, inner in value.items()}
    return [mutated(inner, draw) for inner in value] if isinstance(value, list) else value


def test_values_of_any_type_make_a_page(run, tmp_path):
    sweep = write_sweep(tmp_path / "odd", runs=6, epochs=3)
    files = [run / "run.json", run / "model.json", sweep / "sweep.json"]
    right = {file: json.loads(file.read_text()) for file in files}
    made = 0
    for seed in range(12):
        draw = random.Random(seed)
        for file, content in right.items():
            file.write_text(json.dumps(mutated(content, draw)))
        for place in (run, sweep):
            try:
                Page(Path(report(str(place), with_data=False)["report"]))
                made += 1
            except DlrunError as error:  # the record as a whole is of another type
                assert "is not the record of a" in error.message
    assert made > 18


def test_data_that_cannot_be_read_or_trusted_are_named_and_the_rest_is_shown(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"] = {"_target_": "my_data.load"}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    result = report("latest")
    [note] = result["notes"]
    assert "my_data.load" in note and "--trust my_data" in note
    assert note in Page(Path(result["report"])).words


def test_a_failed_run_says_why(dlrun):
    words = ["backend=jax", "epochs=1", "data.limit=200", "optimizer.learning_rate=1e38"]
    code, _, _ = worker("jax").command(dlrun.cwd, ["train", *words])
    assert code == 1
    page = Page(Path(report(str(dlrun.only_run()))["report"]))
    record = dlrun.record(dlrun.only_run())
    assert "It failed: " in page.words and record["error"] in page.words
    assert "dlrun resume" in page.words


def test_residuals_and_outputs_have_a_part_each(run):
    shutil.rmtree(run / "evaluation")
    quantiles = [("price", q, (q - 0.5) * 100) for q in np.linspace(0, 1, 11)]
    write_table(run / "evaluation/price/residuals.csv", ["target", "quantile", "error"], quantiles)
    worst = [(7, "h7", 10.5, 210.25, 199.75)]
    head = ["sample", "id", "target", "predicted", "error"]
    write_table(run / "evaluation/price/most_wrong.csv", head, worst)
    head = ["threshold", "precision", "recall", "f1", "specificity", "accuracy"]
    rows = [(t, 0.5, 1 - t, 0.5, t, 0.75) for t in (0.25, 0.5)]
    write_table(run / "evaluation/kind/thresholds.csv", head, rows)
    page = Page(Path(report("latest", with_data=False)["report"]))
    assert "Output price" in page.words and "Output kind" in page.words
    assert figures(page.column("Errors by quantile, the numbers", "price"))[0] == -50
    assert page.column("The samples that it got most wrong", "error") == ["199.7500"]
    assert figures(page.column("Figures by threshold", "recall")) == [0.75, 0.5]


def test_long_numbers_of_a_table_are_rounded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{(n + 0.3) / 7:.16f},{1000.5 + n},{n % 3}" for n in range(60)]
    Path("t.csv").write_text("\n".join(["a,b,y", *rows]))
    words = ("data=csv", "data.path=t.csv", "data.target=y", "smoke=true", "epochs=1")
    run = worker("jax").train(tmp_path, *words)["path"]
    page = Page(Path(report(str(run))["report"]))
    caption = "The first 5 samples of the training split"
    assert max(len(number.partition(".")[2]) for number in page.column(caption, "a")) == 4
    assert {number[-2:] for number in page.column(caption, "b")} == {".5"}


def test_an_unknown_run_and_a_place_that_cannot_be_written_are_refused(run):
    with pytest.raises(DlrunError, match="no run directory at nothing"):
        report("nothing")
    with pytest.raises(DlrunError, match="there is no directory nowhere"):
        report("latest", output=Path("nowhere/page.html"))


# Sweeps


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A small sweep: its directory and its result."""
    from conftest import Dlrun

    dlrun = Dlrun(tmp_path_factory.mktemp("swept"))
    values = "optimizer.learning_rate=0.001,0.1 model.units=8,16 epochs=2 data.limit=200"
    result = dlrun.json("sweep", "backend=jax", *values.split(), "--jobs", "1")
    return dlrun.cwd / result["sweep_dir"], result


def test_the_page_of_a_sweep_ranks_its_runs_and_says_how_to_run_it(swept, monkeypatch):
    sweep, result = swept
    monkeypatch.chdir(sweep.parents[2])
    told = report(sweep.name.rpartition("_")[2])  # by its id
    assert (told["kind"], told["report"]) == ("sweep", f"runs/sweeps/{sweep.name}/report.html")
    page = Page(sweep / "report.html")
    caption = "Runs by val_loss, the best first"
    ranking = [run["run_dir"].rpartition("/")[2] for run in result["ranking"]]
    assert page.column(caption, "run") == ranking
    values = [run["value"] for run in result["ranking"]]
    assert figures(page.column(caption, "val_loss")) == pytest.approx(values, abs=5e-5)
    assert page.column(caption, "units") == [r["differs"]["model.units"] for r in result["ranking"]]
    keys = page.column("Importance of each key", "key")
    assert sorted(keys) == ["model.units", "optimizer.learning_rate"]
    assert "dlrun sweep backend=jax optimizer.learning_rate=0.001,0.1" in page.words
    assert "dlrun train backend=jax" in page.words
    assert "Backends side by side" not in page.words
    best = Path(report(str(sweep / ranking[0]), with_data=False)["report"])
    report(str(sweep))
    links = [a["href"] for tag, a in Page(sweep / "report.html").tags if tag == "a"]
    assert f"{ranking[0]}/report.html" in links and best.is_file()


def test_two_hundred_runs_of_a_hundred_epochs_fit_into_two_megabytes(tmp_path):
    place = write_sweep(tmp_path / "many", runs=200, epochs=100)
    page = Page(Path(report(str(place))["report"]))
    assert len(page.text.encode()) < 2_000_000
    assert len(page.column("Runs by val_loss, the best first", "run")) == 200


def test_backends_stand_side_by_side(tmp_path):
    place = write_sweep(tmp_path / "many", runs=40, epochs=3)
    view = read_sweep(place, "sweeps/many")
    (place / "report.html").write_text(sweep_page(view), encoding="utf-8")
    page = Page(place / "report.html")
    losses = {name: [] for name in ("jax", "torch")}
    for run in json.loads((place / "sweep.json").read_text())["runs"]:
        losses[run["backend"]].append(run["validation"]["loss"])
    rows = {row[0]: row[1:] for row in page.tables["Backends side by side"]}
    for title, of in (("best val_loss", np.min), ("median val_loss", np.median)):
        expected = [of(losses["jax"]), of(losses["torch"])]
        assert figures(rows[title]) == pytest.approx(expected, abs=5e-5)
