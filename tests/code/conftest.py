import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnistcli.engine.network import package


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder of its own as a user who trusts nothing, and forget what was imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTCLI_ALLOWED", str(tmp_path / "allowed.txt"))
    yield
    forget()


def forget() -> None:
    """Forget the modules of all networks, as a new process would."""
    package._make_package.cache_clear()
    for name in [*sys.modules]:
        if name.startswith("_mnistcli_code"):
            del sys.modules[name]
