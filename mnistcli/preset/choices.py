"""Choices that options, records and the engine share. Importing this module costs nothing."""

from typing import Literal

DeviceChoice = Literal["auto", "cpu", "cuda", "mps"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
Split = Literal["train", "test"]
DatasetName = Literal["mnist", "fashion", "kmnist", "qmnist", "emnist-digits", "usps"]
"""Data sets that `--dataset` knows; "mnist" is part of the package."""
