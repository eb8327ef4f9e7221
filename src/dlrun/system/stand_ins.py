"""What stands in for a name of a module that is imported later."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any


class LateDecorator:
    """Stands in for a decorator of a deferred module, which decorates once it has run.

    Args:
        name: The decorator's name in the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._given: list[tuple[list[Callable[..., Any]], Sequence[Any], Mapping[str, Any]]] = []

    def __call__(
        self, function: Callable[..., Any] | None = None, *args: Any, **options: Any
    ) -> Callable[..., Any]:
        """A function that is decorated later; without one, what takes it, as ``@name()`` does."""
        if function is None:
            return partial(self, **options)
        current = [function]

        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            return current[0](*args, **keywords)

        self._given.append((current, args, options))
        return call

    def apply(self, module: ModuleType) -> None:
        """Decorate the functions that it was given, by the module that has run."""
        decorator = getattr(module, self._name)
        for current, args, options in self._given:
            current[0] = decorator(current[0], *args, **options)


class LateModule:
    """Stands in for a module of a deferred package: another name than these runs it.

    Args:
        name: Its full name.
        **functions: What takes the place of its functions, by name.
    """

    def __init__(self, name: str, **functions: Callable[..., Any]) -> None:
        self._name = name
        vars(self).update(functions)

    def __getattr__(self, name: str) -> Any:
        """A name of the module, which is imported; called for none of the functions."""
        return getattr(importlib.import_module(self._name), name)


@contextmanager
def late_names(names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Let the block import names without their modules, which are imported when one is used.

    For modules that can't be deferred, as the packages that they are in would run. Other threads
    must not import them meanwhile.

    Args:
        names: Classes and submodules, by the full names of their modules; those of modules that
            are already imported are left as they are.
    """
    stand_ins = {module: ModuleType(module) for module in names if module not in sys.modules}
    for module, stand_in in stand_ins.items():
        vars(stand_in).update({name: _LateName(module, name) for name in names[module]})
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for module, stand_in in stand_ins.items():
            if sys.modules.get(module) is stand_in:
                del sys.modules[module]


class _LateName:
    """Stands in for a class or a submodule."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _actual(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actual(), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._actual()(*args, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _LateName, (self._module, self._name)

    def __or__(self, other: Any) -> Any:
        return self._actual() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._actual()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._actual(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self._actual())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._actual())
