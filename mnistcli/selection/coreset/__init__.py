"""Coresets: one file a family of methods."""
