"""Files of Python code that the tests hand over as networks."""

from pathlib import Path

IMPORTS = """\
import torch
from torch import nn
"""
NET = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {init}
        self.layer = nn.Linear(784, 10)

    def forward(self, images):
        {forward}
        return self.layer(images.flatten(1))
"""
PLAIN = IMPORTS + NET.format(init="pass", forward="pass")


def network(first: str = "", *, init: str = "pass", forward: str = "pass", last: str = "") -> str:
    """Return the source of a linear network that does something else besides."""
    return f"{first}\n{IMPORTS}{NET.format(init=init, forward=forward)}{last}\n"


def line_of(source: str, part: str) -> int:
    """Return the number of the first line with `part`."""
    return next(n for n, line in enumerate(source.splitlines(), start=1) if part in line)


def trap(path: Path) -> str:
    """Return code that leaves a file behind when it runs."""
    return f"import pathlib; pathlib.Path({str(path)!r}).touch()\n"
