"""Train a preset: setup, state, run and record."""
