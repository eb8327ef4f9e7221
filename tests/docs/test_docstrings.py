"""Docstrings: the arguments, the exceptions and the definitions that they name."""

import ast
import builtins
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
MODULES = {
    ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_text(encoding="utf-8")
    )
    for path in sorted((SRC / "dlrun").rglob("*.py"))
}
CLASSES = {
    node.name: node
    for tree in MODULES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}
REFERENCE = re.compile(r":(?:class|func|meth|data|mod|attr):`~?([\w.]+)`")

DOCSTRINGS = [
    (module, node, docstring)
    for module, tree in MODULES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
    if (docstring := ast.get_docstring(node))
]


def section(docstring: str, title: str) -> list[str]:
    """What a section names: the words before the colons, one level in."""
    found = re.search(rf"^{title}:\n((?: +.*\n?|\n)*)", docstring, re.MULTILINE)
    return re.findall(r"^    \**([\w.]+): ", found[1], re.MULTILINE) if found else []


def accepted(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """The arguments of a function, or those of a class with what its parents take."""
    if isinstance(node, ast.FunctionDef):
        return {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    names = set()
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            names |= accepted(part)
        elif isinstance(part, ast.AnnAssign):
            names.add(ast.unparse(part.target))
    parents = [CLASSES[name] for base in node.bases if (name := ast.unparse(base)) in CLASSES]
    return names.union(*map(accepted, parents))


@cache
def defined(module: str) -> set[str]:
    """The names of a module and of its classes, with what it imports."""
    names = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


MEMBERS = set().union(*map(defined, MODULES))


def name_of(module: str, node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    """Where a docstring stands."""
    return module if isinstance(node, ast.Module) else f"{module}.{node.name}"


def exists(reference: str, module: str) -> bool:
    """Whether what a module's docstring refers to is in dlrun, or in another package that is."""
    words = reference.split(".")
    if is_qualified := words[0] == "dlrun":
        module = max((m for m in MODULES if f"{reference}.".startswith(f"{m}.")), key=len)
        words = reference.removeprefix(module).split(".")[1:]
    # A package hands classes on, whose members are defined elsewhere.
    names = defined(module), MEMBERS
    is_known = all(word in known for word, known in zip(words, names, strict=False))
    return is_known or (not is_qualified and find_spec(words[0]) is not None)


def test_arguments_that_docstrings_explain_exist():
    explained = {
        (name_of(module, node), argument, argument in accepted(node))
        for module, node, text in DOCSTRINGS
        if not isinstance(node, ast.Module)
        for argument in section(text, "Args")
    }
    assert ("dlrun.api.annotate.rename", "name", True) in explained
    assert [place for *place, is_there in sorted(explained) if not is_there] == []


def test_exceptions_that_docstrings_name_exist():
    named = {
        (name_of(module, node), error)
        for module, node, text in DOCSTRINGS
        for error in section(text, "Raises")
    }
    assert ("dlrun.api.train.train", "RunInterrupted") in named
    known = {*CLASSES, *vars(builtins)}
    assert [place for place in sorted(named) if place[1] not in known and "." not in place[1]] == []


def test_definitions_that_docstrings_refer_to_exist():
    references = {
        (name_of(module, node), reference, exists(reference, module))
        for module, node, text in DOCSTRINGS
        for reference in REFERENCE.findall(text)
    }
    assert ("dlrun.backends", "start", True) in references
    assert [place for *place, is_there in sorted(references) if not is_there] == []
