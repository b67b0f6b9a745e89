"""Data sets and pictures → examples."""
