"""Pages in a real Chromium."""

import re
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

READ = "text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0))"
COMPUTE = f"""text => {{
  const images = ({READ})(text), count = images.length / 784, all = new Int32Array(10 * count);
  for (let n = 0; n < count; n++) {{
    const logits = mnistcli.logits(images.subarray(784 * n, 784 * (n + 1)));
    if (!(logits instanceof Int32Array) || logits.length !== 10) throw new TypeError();
    all.set(logits, 10 * n);
  }}
  return Array.from(all);
}}"""


@dataclass
class Visit:
    """An open page."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    """What it wrote to the console, or asked for."""

    def compute_logits(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        answer = self.page.evaluate(COMPUTE, b64encode(images.tobytes()).decode())
        return np.array(answer, np.int32).reshape(-1, 10)

    def evaluate(self, code: str, values: NDArray | None = None) -> Any:
        """Return what code makes of `bytes`, an array."""
        text = "" if values is None else b64encode(values.tobytes()).decode()
        return self.page.evaluate(
            f"text => {{ const bytes = ({READ})(text); return {code}; }}", text
        )

    def replace_network(self, content: str) -> None:
        """Run the script of another page in this one, as far as `mnistcli.logits`."""
        data, script = re.findall(r"<script[^>]*>(.*?)</script>", content, re.DOTALL)
        self.page.evaluate(
            """([data, script]) => {
              document.getElementById("data").textContent = data;
              new Function(script.slice(0, script.indexOf("if(document.body){")) + "}")();
            }""",
            [data, script],
        )

    def swipe(self, *places: tuple[float, float]) -> None:
        """Draw with a finger."""
        box = self.page.locator("#sheet").bounding_box()
        session = self.page.context.new_cdp_session(self.page)
        for place, (x, y) in enumerate(places):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if place else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        self.wait()

    def read_image(self) -> NDArray[np.uint8]:
        """Return what the network sees, (28, 28)."""
        return np.array(self.evaluate("Array.from(mnistcli.image())"), np.uint8).reshape(28, 28)

    def draw(self, *strokes: list[tuple[float, float]]) -> None:
        """Draw with the mouse; places are fractions of the sheet's side."""
        box = self.page.locator("#sheet").bounding_box()
        for stroke in strokes:
            places = [
                (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
            ]
            self.page.mouse.move(*places[0])
            self.page.mouse.down()
            for place in places[1:]:
                self.page.mouse.move(*place, steps=3)
            self.page.mouse.up()
        self.wait()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.wait()

    def click(self, place: str) -> None:
        self.page.locator(place).click()
        self.wait()

    def wait(self) -> None:
        """Wait until the page has shown what was drawn."""
        self.page.evaluate("() => new Promise(done => setTimeout(done, 40))")

    def text(self, name: str) -> str:
        return self.page.locator(f"#{name}").inner_text()


class Browser:
    """A browser that opens pages from files."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self._browser, self._folder, self._count = browser, folder, 0

    @contextmanager
    def open(self, content: str, **options: Any) -> Iterator[Visit]:
        self._count += 1
        path = self._folder / f"{self._count}.html"
        path.write_text(content, encoding="utf-8")
        context = self._browser.new_context(**options)
        try:
            visit = Visit(context.new_page())
            complaints, page = visit.complaints, visit.page
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(dialog.message))
            page.on("request", lambda request: complaints.append(request.url))
            page.goto(path.as_uri())
            visit.wait()
            assert complaints.pop(0) == path.as_uri()
            yield visit
            assert not complaints
        finally:
            context.close()


@contextmanager
def launch(folder: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield Browser(browser, folder)
        browser.close()
