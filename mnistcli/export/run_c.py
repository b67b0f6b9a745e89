"""Compile an exported header on this machine, and run it on images."""

import os
import shlex
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import CLASSES
from mnistcli.errors import UsageError
from mnistcli.export.tools import run_tool

VARIABLE = "CC"
MAIN = """\
#include <stdio.h>
#include "network.h"

int main(void)
{
    static uint8_t image[784];
    int32_t logits[10];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        mnist_logits(image, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return 0;
}
"""


def find_compiler() -> list[str]:
    """Return the command of the C compiler: `CC`, or cc; empty if there is none."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        try:
            return shlex.split(chosen)
        except ValueError:  # a quote that does not end
            return [chosen]
    return ["cc"] if shutil.which("cc") else []


def run_header(header: str, images: NDArray[np.uint8], compiler: list[str]) -> NDArray[np.int32]:
    """Return the logits, int32 (n, 10), that the header computes for images (n, 28, 28).

    Raises:
        UsageError: the compiler or what it made does not work.
    """
    with TemporaryDirectory(prefix="mnistcli-") as name:
        folder = Path(name)
        (folder / "network.h").write_text(header, encoding="utf-8")
        (folder / "main.c").write_text(MAIN, encoding="utf-8")
        program = folder / "main"
        _run([*compiler, "-std=c99", "-O2", str(folder / "main.c"), "-o", str(program)], compiler)
        output = _run([str(program)], compiler, images.tobytes())
    logits = np.frombuffer(output, dtype=np.int32)
    if logits.size != len(images) * CLASSES:
        raise UsageError(f"{_name(compiler)} made a program that ends early. {ADVICE}")
    return logits.reshape(-1, CLASSES)


ADVICE = f"Set {VARIABLE} to a C compiler that works, or to nothing to leave the check out."


def _run(command: list[str], compiler: list[str], given: bytes = b"") -> bytes:
    return run_tool(command, _name(compiler), ADVICE, given=given).stdout


def _name(compiler: list[str]) -> str:
    return f'the C compiler "{shlex.join(compiler)}"'
