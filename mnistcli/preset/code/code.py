"""The code of one network: sources, name and arguments, and the one decision to run it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mnistcli.errors import PresetError
from mnistcli.preset.code.reference import check_place, parse_reference
from mnistcli.preset.code.sources import Sources, collect_sources, find_networks, read_source
from mnistcli.preset.code.trust import allow, is_allowed

SHOWN = 5


@dataclass(frozen=True)
class Code:
    """The Python code of a network, as bytes in memory: what was hashed is what runs."""

    python: str
    """Entry and name, as in "net.py:Net"."""
    arguments: Mapping[str, Any]
    """Keyword arguments of the class or function; JSON types only."""
    files: Sources
    folder: Path
    """Where the files were read; for messages only."""
    is_trusted: bool = False

    @property
    def entry(self) -> str:
        """Path of the file that defines the network, relative to the folder."""
        return parse_reference(self.python).file

    @property
    def name(self) -> str:
        """Name of the class or function that makes the network."""
        return parse_reference(self.python).name or ""

    @property
    def listing(self) -> str:
        """Names of the files, the first five of many."""
        more = f" and {len(self.files) - SHOWN} more" if len(self.files) > SHOWN else ""
        return ", ".join([*self.files][:SHOWN]) + more

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of every file."""
        return {place: hashlib.sha256(content).hexdigest() for place, content in self.files.items()}

    @property
    def sha256(self) -> str:
        """SHA-256 of everything that is trusted: all files, the name and the arguments."""
        content = [self.python, self.arguments, sorted(self.fingerprints.items())]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def trust(self, *, is_named: bool) -> "Code":
        """Return the code with the decision whether it may run.

        Args:
            is_named: whether the user named or allowed it on this command line.
        """
        if is_named:
            allow(self.sha256)
        return replace(self, is_trusted=is_named or is_allowed(self.sha256))

    def require_trust(self) -> None:
        """Refuse to run code that this user has neither run nor allowed.

        Raises:
            PresetError: the code is not trusted.
        """
        if not self.is_trusted:
            raise PresetError(
                f'"{self.folder / self.entry}" is Python code that you have not run or allowed '
                f"before, and it was not run: {self.listing}. Read it, then add --allow-code."
            )


def read_code(folder: Path, reference: str, arguments: Mapping[str, Any]) -> Code:
    """Read the code of a network from a folder of the user; nothing of it runs.

    Args:
        folder: what `reference` is relative to.
        reference: as in "net.py:Net"; without a name, of the only network in the file.
        arguments: keyword arguments of the class or function.

    Raises:
        PresetError: a file is unreadable or no Python, or the file has no or several networks.
    """
    named = parse_reference(reference)
    path = folder / named.file
    try:
        check_place(path.name)
    except ValueError as error:
        raise PresetError(
            f'cannot use "{path}": its name has a colon, a backslash or a character that is not '
            "printable. Rename it."
        ) from error
    files = collect_sources(path.parent, path.name)
    name = named.name or _find_network(files[path.name], path)
    return Code(f"{path.name}:{name}", arguments, files, path.parent)


def read_kept_code(
    folder: Path, python: str, arguments: Mapping[str, Any], fingerprints: Mapping[str, str]
) -> Code:
    """Read code whose files are known: from the folder in which a run keeps them.

    Raises:
        PresetError: a file is unreadable, or not what it was.
    """
    files = {place: read_source(folder, place) for place in fingerprints}
    code = Code(python, arguments, files, folder)
    if code.entry not in files or not code.name:
        raise PresetError(f'the code of "{python}" is not complete: it has no such file or name')
    for place, found in code.fingerprints.items():
        if found != fingerprints[place]:
            raise PresetError(f'"{folder / place}" has changed since the run. Train it again.')
    return code


def _find_network(content: bytes, path: Path) -> str:
    networks = find_networks(content, path)
    if len(networks) == 1:
        return networks[0]
    if not networks:
        raise PresetError(
            f'"{path}" defines no class that derives from nn.Module. Name a function that returns '
            f"the network: {path}:NAME"
        )
    raise PresetError(f'"{path}" defines {", ".join(networks)}. Name one: {path}:{networks[-1]}')
