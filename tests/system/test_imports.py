"""Modules whose import is put off until they are used."""

import copy
import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dlrun.system.imports import deferred_modules
from dlrun.system.stand_ins import LateDecorator, LateModule, late_names


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two modules, each of which says when it runs."""
    folder = tmp_path / "put_off"
    folder.mkdir()
    for name in ("__init__", "often", "seldom"):
        text = f"import builtins; builtins.ran.append({name!r}); value = 7\n"
        (folder / f"{name}.py").write_text(text)
    ran = []
    monkeypatch.setattr("builtins.ran", ran, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield ran
    for name in [name for name in sys.modules if name.partition(".")[0] == "put_off"]:
        del sys.modules[name]


def test_a_module_runs_when_it_is_used(package):
    with deferred_modules(["put_off.seldom", "no_such_module"]):
        from put_off import often, seldom

        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            importlib.import_module("no_such_module")
    for module in list(sys.modules.values()):  # as inspect and Hydra do
        assert (hasattr(module, "__file__"), vars(module)) is not None
    assert package == ["__init__", "often"]
    assert (often.value, seldom.value) == (7, 7)
    assert package == ["__init__", "often", "seldom"]
    assert importlib.import_module("put_off.seldom") is seldom


@pytest.mark.parametrize("use", ["put_off.__version__", "dir(put_off)", "put_off.__all__"])
def test_a_package_is_asked_for_its_version_or_names(package, tmp_path, use):
    (tmp_path / "put_off" / "__init__.py").write_text("value = 7; __version__ = '1'; __all__ = []")
    with deferred_modules(["put_off"]):
        put_off = importlib.import_module("put_off")
    assert "value" not in vars(put_off)
    assert eval(use, {"put_off": put_off}) in ("1", [], sorted(vars(put_off)))


def test_a_module_that_is_there_is_left_as_it_is(package):
    before = importlib.import_module("put_off.seldom")
    with deferred_modules(["put_off.seldom"]):
        assert importlib.import_module("put_off.seldom") is before
    assert package == ["__init__", "seldom"]


def test_a_package_runs_before_a_module_of_it(package):
    with deferred_modules(["put_off"]):
        importlib.import_module("put_off")
        assert package == []
        importlib.import_module("put_off.often")
    assert package == ["__init__", "often"]


def test_a_name_that_is_not_there_is_an_attribute_error(package):
    with deferred_modules(["put_off.seldom"]):
        seldom = importlib.import_module("put_off.seldom")
    with pytest.raises(AttributeError, match="no_such_name"):
        seldom.no_such_name  # noqa: B018
    assert package == ["__init__", "seldom"]


def test_threads_wait_for_the_one_that_runs_a_module(package, tmp_path):
    text = "import time; early = 1; time.sleep(0.2); late = 2\n"
    (tmp_path / "put_off" / "seldom.py").write_text(text)
    with deferred_modules(["put_off.seldom"]):
        seldom = importlib.import_module("put_off.seldom")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: seldom.late, range(4))) == [2] * 4


def test_threads_that_need_what_each_other_imports_do_not_wait_for_ever(package, tmp_path):
    whole = """
import builtins, time
builtins.started.set()
time.sleep(0.3)  # meanwhile put_off.often asks for the next name
early = 1
from put_off.often import value
"""
    part = """
import builtins
builtins.started.wait(10)
from put_off import early
value = 6 + early
"""
    (tmp_path / "put_off" / "__init__.py").write_text(whole)
    (tmp_path / "put_off" / "often.py").write_text(part)
    text = """
import builtins, importlib, sys, threading
from dlrun.system.imports import deferred_modules
builtins.started = threading.Event()
with deferred_modules(["put_off"]):
    import put_off
def other():
    builtins.started.wait(10)
    importlib.import_module("put_off.often")
threads = [threading.Thread(target=f, daemon=True) for f in (lambda: put_off.value, other)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(8)
assert not any(thread.is_alive() for thread in threads)
assert put_off.value == sys.modules["put_off.often"].value == 7
"""
    # In a process of its own, which can end although its threads hang.
    command = [sys.executable, "-c", text]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_functions_that_wait_for_their_module(package, tmp_path):
    text = """
from builtins import ran
ran.append("seldom")
def twice(function=None, times=2):
    decorate = lambda function: lambda value: times * function(value)
    return decorate if function is None else decorate(function)
def reset():
    ran.append("reset")
"""
    (tmp_path / "put_off" / "seldom.py").write_text(text)
    stand_ins = {"twice": LateDecorator("twice"), "reset": lambda: package.append("nothing")}
    with deferred_modules(["put_off.seldom"], {"put_off.seldom": stand_ins}):
        seldom = importlib.import_module("put_off.seldom")

    @seldom.twice()
    def plain(value):
        return value

    @seldom.twice(times=3)
    def chosen(value):
        return value

    seldom.reset()
    assert (plain(1), chosen(1), plain.__name__) == (1, 1, "plain")
    assert package == ["__init__", "nothing"]
    assert not hasattr(seldom, "no_such_name")  # runs it
    assert (plain(1), chosen(1)) == (2, 3)
    assert seldom.twice(plain)(1) == 4
    seldom.reset()
    assert package == ["__init__", "nothing", "seldom", "reset"]


def test_a_module_of_a_package_has_a_function_that_takes_the_place_of_its_own(package, tmp_path):
    (tmp_path / "put_off" / "rules.py").write_text("size = 3\ndef forget():\n    return size\n")
    stand_ins = {"rules": LateModule("put_off.rules", forget=lambda: "nothing")}
    with deferred_modules(["put_off"], {"put_off": stand_ins}):
        import put_off
    assert put_off.rules.forget() == "nothing"
    assert package == []
    assert put_off.rules.size == 3  # runs both
    assert package == ["__init__"]
    assert put_off.rules.forget() == 3


def test_a_name_whose_module_is_imported_when_it_is_used(package, tmp_path):
    (tmp_path / "put_off" / "seldom.py").write_text("class Cell:\n    size = 3\n")
    with late_names({"put_off.seldom": ["Cell"], "put_off.often": ["value"]}):
        from put_off.often import value
        from put_off.seldom import Cell
    assert package == []

    class Mine(Cell):
        pass

    assert issubclass(Mine, Cell)
    assert isinstance(copy.copy(Cell)(), Cell)
    assert isinstance(None, Cell | None)
    assert isinstance(Cell(), Cell)
    assert Cell.size == 3
    assert Cell is not importlib.import_module("put_off.seldom").Cell
    assert package == ["__init__"]
    assert value.real == 7
    assert package == ["__init__", "often"]


def test_a_name_of_a_module_that_is_there_is_its_own(package):
    before = importlib.import_module("put_off.seldom")
    with late_names({"put_off.seldom": ["value"]}):
        from put_off.seldom import value
    assert value == 7
    assert sys.modules["put_off.seldom"] is before
