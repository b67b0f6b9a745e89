"""Fuzz a reader by coverage, with atheris (pip install atheris; Linux, Python 3.11).

    python -m tests.fuzz                      list the readers
    python -m tests.fuzz NAME SECONDS FOLDER  fuzz one; FOLDER keeps the corpus and what was found

A content that is answered by anything but a result or one line ends it, and is kept in FOLDER as
"crash-…"; one that takes more than 20 seconds as "timeout-…".
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mnistcli"]):
    from tests.conftest import TINY_PRESET, write_tiny_data
    from tests.fuzz.targets import Target, make_targets

MAX_BYTES, MAX_SECONDS, MAX_MEBIBYTES = 200_000, 20, 8_000


def make_all(folder: Path) -> dict[str, Target]:
    """Make all targets in a folder."""
    data, preset = folder / "digits", folder / "tiny.toml"
    data.mkdir()
    write_tiny_data(data)
    preset.write_text(TINY_PRESET)
    return make_targets(folder / "targets", data, preset)


def fuzz(target: Target, seconds: int, kept: Path) -> None:
    """Fuzz a target; this ends the process."""
    corpus = kept / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "example").write_bytes(target.example)
    options = {
        "max_total_time": seconds, "max_len": MAX_BYTES, "timeout": MAX_SECONDS,
        "rss_limit_mb": MAX_MEBIBYTES, "artifact_prefix": f"{kept}/", "print_final_stats": 1,
    }  # fmt: skip
    line = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)]
    atheris.Setup(line, lambda content: target.try_content(content))
    atheris.Fuzz()


def main() -> None:
    """Run the command line described above."""
    with tempfile.TemporaryDirectory() as folder:
        targets = make_all(Path(folder))
        match sys.argv[1:]:
            case []:
                print("\n".join(targets))
            case [name, seconds, kept] if name in targets:
                fuzz(targets[name], int(seconds), Path(kept))
            case _:
                sys.exit(__doc__)


if __name__ == "__main__":
    main()
