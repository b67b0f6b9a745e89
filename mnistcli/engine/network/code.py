"""Run the user's own code: import it, build its network, and say in one line where it fails."""

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mnistcli.engine.network.contain import contain
from mnistcli.engine.network.defaults import keep_defaults
from mnistcli.errors import PresetError
from mnistcli.preset.code.code import Code
from mnistcli.preset.code.sources import is_installed

NUMBERS = count(1)


def make_module(code: Code) -> nn.Module:
    """Return what the code's class or function returns: a new network.

    This is the only place that runs a user's code for the first time, and so the one that asks
    whether it is trusted.

    Raises:
        PresetError: the code is not trusted, it raises, or it returns no nn.Module.
    """
    code.require_trust()
    with running(code):
        factory = getattr(_find_package(code).load(code.entry), code.name, None)
        if not callable(factory):
            raise PresetError(f'"{code.folder / code.entry}" defines no {code.name}')
        module = factory(**code.arguments)
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise PresetError(f'"{code.python}" returns {kind}, not an nn.Module. Return the network.')
    return module


@contextmanager
def running(code: Code) -> Iterator[None]:
    """Run a part of the user's code: an import, a constructor, or a forward that is looked at.

    What it prints goes to stderr, and it sees no arguments of this program.

    Raises:
        PresetError: it raises, calls sys.exit, trains, or changes global defaults of PyTorch.
    """
    package = _find_package(code)
    with ExitStack() as stack:
        stack.enter_context(contain(code, always=True))
        stack.enter_context(keep_defaults(code))
        stack.callback(sys.argv.__setitem__, slice(None), list(sys.argv))
        stack.callback(sys.path.__setitem__, slice(None), list(sys.path))
        stack.callback(sys.meta_path.remove, package)
        stack.callback(register_optimizer_step_pre_hook(_refuse_step).remove)
        sys.argv[:] = [str(code.folder / code.entry)]
        sys.meta_path.insert(0, package)
        yield


def _refuse_step(*_: object) -> None:
    raise RuntimeError("it trains when it is imported. Put that under if __name__ == '__main__':")


class Package(MetaPathFinder):
    """The modules of one network's code, below a package of their own.

    So two networks with files of the same names do not meet. The finder serves the listed files
    and, while it is first on sys.meta_path, nothing else that is not installed.
    """

    is_of_user = True

    def __init__(self, name: str, files: Mapping[str, bytes], folder: Path) -> None:
        self.name, self._files, self._folder = name, files, folder

    def load(self, entry: str) -> ModuleType:
        """Import the entry, once."""
        name = f"{self.name}.{_to_module(entry)}"
        if name not in sys.modules:
            __import__(name)
        return sys.modules[name]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the listed files; refuse a module that is neither listed nor installed.

        Raises:
            ImportError: there is no such module.
        """
        if fullname == self.name:
            return ModuleSpec(fullname, None, is_package=True)
        if not fullname.startswith(f"{self.name}."):
            if "." not in fullname and not is_installed(fullname):
                raise self._refuse(fullname)
            return None
        place = fullname.removeprefix(f"{self.name}.").replace(".", "/")
        for file in self._files:
            if _to_module(file).replace(".", "/") == place:
                loader = SourceLoader(self._files[file], str(self._folder / file), self._import)
                is_package = file.endswith("/__init__.py")
                return spec_from_loader(fullname, loader, origin=loader.path, is_package=is_package)
        if any(file.startswith(f"{place}/") for file in self._files):
            return ModuleSpec(fullname, None, is_package=True)
        raise self._refuse(fullname.removeprefix(f"{self.name}."))

    def _refuse(self, name: str) -> ImportError:
        stem = name.replace(".", "/")
        for file in (f"{stem}.py", f"{stem}/__init__.py"):
            if (self._folder / file).is_file() and file not in self._files:
                return ImportError(
                    f"{file} is not among the files of the network. Import it with an import "
                    "statement"
                )
        return ModuleNotFoundError(f"no module {name} is installed or beside the network")

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import as Python does, but let a name mean a listed file where no package has it."""
        top = name.partition(".")[0]
        if level or is_installed(top) or not self._has(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{self.name}.{top}"]

    def _has(self, top: str) -> bool:
        return any(file == f"{top}.py" or file.startswith(f"{top}/") for file in self._files)


class SourceLoader(InspectLoader):
    """Compiles a module from bytes in memory, without reading or writing a .pyc."""

    def __init__(self, content: bytes, path: str, import_: Any) -> None:
        self._content, self.path, self._import = content, path, import_

    def get_source(self, fullname: str) -> str:
        """Return the text, for tracebacks."""
        return self._content.decode(errors="replace")

    def get_code(self, fullname: str) -> CodeType:
        """Compile the bytes."""
        return compile(self._content, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, with its own way of importing."""
        module.__file__ = self.path
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)


def _to_module(file: str) -> str:
    """Return the dotted name of a file below the package, as in "blocks.conv"."""
    return file.removesuffix(".py").removesuffix("/__init__").replace(".", "_").replace("/", ".")


def _find_package(code: Code) -> "Package":
    return _make_package(tuple(code.files.items()), code.folder)


@cache
def _make_package(files: tuple[tuple[str, bytes], ...], folder: Path) -> Package:
    """Return the package of some files, always the same one."""
    package = Package(f"_mnistcli_code_{next(NUMBERS)}", dict(files), folder)
    own = ModuleType(package.name)
    own.__path__ = []
    sys.modules[package.name] = own
    return package
