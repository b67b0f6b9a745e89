"""Data sets by name → folders of the cache."""
