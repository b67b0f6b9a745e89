"""Draw the README's pictures again: python -m tests.picture."""

from tests.picture.draw import PICTURES, draw

for path, colours in PICTURES.items():
    path.write_text(draw(colours), encoding="utf-8")
