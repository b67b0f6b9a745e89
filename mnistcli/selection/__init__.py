"""Coresets and courses: features or scores in, indices of images out."""
