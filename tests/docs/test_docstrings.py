"""Docstrings: the arguments, the exceptions and the definitions that they name."""

import ast
import builtins
import re
from functools import cache
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
REFERENCE = re.compile(r":(?:class|func|meth|data|mod|attr):`(dlrun\.[\w.]+)`")


DOCSTRINGS = [
    (f"{module}.{node.name}", node, docstring)
    for module, tree in MODULES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.ClassDef)
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


def test_arguments_that_docstrings_explain_are_there():
    for name, node, docstring in DOCSTRINGS:
        if explained := section(docstring, "Args"):
            assert set(explained) <= accepted(node), name


def test_exceptions_that_docstrings_name_are_there():
    named = [(name, error) for name, _, text in DOCSTRINGS for error in section(text, "Raises")]
    assert ("dlrun.api.train.train", "RunInterrupted") in named
    for name, error in named:
        assert error in CLASSES or "." in error or hasattr(builtins, error), f"{name}: {error}"


def test_definitions_that_docstrings_refer_to_are_there():
    members = set().union(*map(defined, MODULES))
    for name, _, docstring in DOCSTRINGS:
        for reference in REFERENCE.findall(docstring):
            module = max((m for m in MODULES if f"{reference}.".startswith(f"{m}.")), key=len)
            # A package hands classes on, whose members are defined elsewhere.
            for word, there in zip(
                reference.removeprefix(module).split(".")[1:],
                (defined(module), members),
                strict=False,
            ):
                assert word in there, f"{name}: {reference}"
