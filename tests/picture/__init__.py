"""The README's picture of a terminal, drawn from a kept record of a real run."""
