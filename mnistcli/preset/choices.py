"""Choices that options, records and the engine share. Importing this module costs nothing."""

from typing import Literal

DeviceChoice = Literal["auto", "cpu", "cuda", "mps"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
Split = Literal["train", "test"]
