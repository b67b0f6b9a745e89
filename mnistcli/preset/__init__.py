"""Presets, as TOML files and as frozen models. Nothing here imports torch."""
