"""What is asked: presets, as TOML files and as frozen models. Nothing here imports torch."""
