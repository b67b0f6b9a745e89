"""Run the script of an exported page on this machine, on images."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.examples import CLASSES
from mnistcli.errors import UsageError, reason_of

VARIABLE = "NODE"
ADVICE = f"Set {VARIABLE} to a Node.js of version 18 or later, or to nothing to skip the check."
SECONDS = 600
# Without a body, a page's script is its network alone.
MAIN = """\
const fs = require("fs");
const page = fs.readFileSync(process.argv[2], "utf8");
const [, data, script] = /id="data">(.*?)<\\/script>\\n<script>(.*?)<\\/script>/s.exec(page);
globalThis.window = globalThis;
globalThis.document = { getElementById: () => ({ textContent: data }) };
require("vm").runInThisContext(script);
const images = fs.readFileSync(0);
const logits = new Int32Array(images.length / 784 * 10);
for (let n = 0; n < images.length / 784; n++) {
  logits.set(mnistcli.logits(images.subarray(784 * n, 784 * (n + 1))), 10 * n);
}
process.stdout.write(new Uint8Array(logits.buffer));
"""


def find_node() -> str | None:
    """Return the name of Node.js: `NODE`, or node; None if there is none."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return chosen or None
    return "node" if shutil.which("node") else None


def run_page(page: str, images: NDArray[np.uint8], node: str) -> NDArray[np.int32]:
    """Return the logits, int32 (n, 10), that the page computes for images (n, 28, 28).

    Raises:
        UsageError: Node.js does not work.
    """
    with TemporaryDirectory(prefix="mnistcli-") as name:
        folder = Path(name)
        (folder / "page.html").write_text(page, encoding="utf-8")
        (folder / "main.js").write_text(MAIN, encoding="utf-8")
        command = [node, str(folder / "main.js"), str(folder / "page.html")]
        output = _run(command, images.tobytes())
    if len(output) != 4 * CLASSES * len(images):
        raise UsageError(f'"{node}" did not run the script of the page. {ADVICE}')
    return np.frombuffer(output, dtype=np.int32).reshape(-1, CLASSES)


def _run(command: list[str], given: bytes) -> bytes:
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=SECONDS)
    except (OSError, ValueError) as error:
        raise UsageError(f'cannot run "{command[0]}": {reason_of(error)}. {ADVICE}') from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f'"{command[0]}" took more than {SECONDS} s. {ADVICE}') from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().split("\n")
        reason = next((line.strip() for line in lines if "Error" in line), lines[0].strip())
        reason = reason or f"exit code {done.returncode}"
        raise UsageError(f'"{command[0]}" failed: {reason}. {ADVICE}')
    return done.stdout
