"""Import of a framework what is needed, and fast."""

import gc
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import MappingProxyType, ModuleType
from typing import Any

from dlrun.system.guest import is_guest
from dlrun.system.stand_ins import LateDecorator

POLL_SECONDS = 0.01  # between two looks at a module that another thread runs

# What a user of Keras may want of it after dlrun has imported it, such as to train on a data frame.
WANTED = ("matplotlib", "pandas", "sklearn")


@contextmanager
def without_packages(packages: Sequence[str]) -> Iterator[None]:
    """Hide these optional packages from Keras and the framework, unless already imported.

    Keras imports matplotlib for image galleries, pandas to recognize data frames, scikit-learn for
    wrappers of its models, jax for orbax even on other backends, and TensorFlow to save a
    ``.keras`` file; TensorFlow imports jax for its lite converter. These imports take seconds and
    no run needs them; all of them are optional. What only asks where a package lies finds it, as
    torch does to leave the code of pandas and scikit-learn uncompiled.

    In a process of the user's, Keras keeps what its own users may want of it: :data:`WANTED`.
    """
    kept = WANTED if is_guest() else ()
    finder = _Hider([p for p in packages if p not in sys.modules and p not in kept])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def deferred_modules(
    modules: Sequence[str], stand_ins: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> Iterator[None]:
    """Let the block import these modules without running them, until one of their names is used.

    For what Keras or a framework imports in case somebody calls it, and hardly anybody does. Unlike
    a package that is hidden, it is there for who does.

    Args:
        modules: Full names; those that are already imported are left as they are.
        stand_ins: Of some of the modules, by name, what takes the place of their functions that
            matter only once the module has run; to call it does not run the module. Of a module in
            a package, a :class:`dlrun.system.stand_ins.LateModule` with such functions.
    """
    finder = _Deferrer(modules, stand_ins)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def without_gc() -> Iterator[None]:
    """Disable garbage collection in the block, and exclude what it imports from later collections.

    Imports create hundreds of thousands of objects but no garbage. Collection would take a fifth of
    the import time of TensorFlow or torch, and a tenth of that of jax.

    In a process of the user's nothing is excluded: it would be the user's objects too.
    """
    before, was_enabled = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        if len(sys.modules) > before and not is_guest():
            gc.freeze()


class _Finder(MetaPathFinder):
    """Finds some modules for the thread that has made it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # Another thread may be importing packages for the user's own data set.
        if fullname not in self._names or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        return spec and self.replacement(spec)

    def replacement(self, spec: ModuleSpec) -> ModuleSpec:
        """What is found in place of a module that is there."""
        raise NotImplementedError


class _Hider(_Finder):
    def replacement(self, spec: ModuleSpec) -> ModuleSpec:
        return ModuleSpec(spec.name, _Refusal(), origin=spec.origin)


class _Deferrer(_Finder):
    def __init__(self, names: Sequence[str], stand_ins: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(names)
        self._stand_ins = stand_ins

    def replacement(self, spec: ModuleSpec) -> ModuleSpec:
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Deferral(spec.loader, self._stand_ins.get(spec.name, {}))
        return spec


class _Deferral(Loader):
    """Gives a module that its own loader runs later.

    importlib's ``LazyLoader`` would run it for whoever goes through ``sys.modules`` and asks each
    for its file or its namespace, as ``inspect`` and Hydra do.
    """

    def __init__(self, loader: SourceFileLoader, stand_ins: Mapping[str, Any]) -> None:
        self._loader = loader
        self.stand_ins = stand_ins
        self._path: Any = None
        self._lock = threading.RLock()  # held by the thread that runs it
        self._is_running = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return _DeferredModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        # Without one, whoever imports a module of this package asks for it.
        self._path = module.__dict__.pop("__path__", None)
        assert module.__spec__ is not None
        module.__spec__.loader_state = self

    def is_use(self, name: str) -> bool:
        """Whether who asks for a name uses the module, rather than looks at all that there are."""
        if name == "__path__":  # to import a module of a package
            return self._path is not None
        return not name.startswith("__") or name in ("__all__", "__version__")

    def run(self, module: ModuleType, name: str = "") -> bool:
        """Run the module, unless this thread is doing so; whether it has run.

        Another thread that does so may import a module that this thread is importing, and wait for
        it. So this one waits no longer than until ``name`` is there, as it does in one thread.
        """
        while not self._lock.acquire(timeout=POLL_SECONDS):
            with suppress(AttributeError):  # there is no name "" for who needs all of it
                ModuleType.__getattribute__(module, name)
                return True
        try:
            if type(module) is ModuleType or self._is_running:
                return not self._is_running
            self._is_running = True
            try:
                if self._path is not None:
                    module.__path__ = self._path
                self._loader.exec_module(module)
            finally:
                self._is_running = False
            assert module.__spec__ is not None
            module.__spec__.loader = module.__loader__ = self._loader
            module.__class__ = ModuleType
            for stand_in in self.stand_ins.values():
                if isinstance(stand_in, LateDecorator):
                    stand_in.apply(module)
            return True
        finally:
            self._lock.release()


class _DeferredModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        """Run the module for a name that it does not have yet; called for no other."""
        deferral = self.__spec__ and self.__spec__.loader_state  # none until the import is over
        if deferral and name in deferral.stand_ins:
            return deferral.stand_ins[name]
        if deferral and deferral.is_use(name) and deferral.run(self, name):
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        """The names of the module, once it has run."""
        deferral = self.__spec__ and self.__spec__.loader_state
        if deferral:
            deferral.run(self)
        return list(ModuleType.__dir__(self))


class _Refusal(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        raise ModuleNotFoundError(f"No module named '{spec.name}'", name=spec.name)
