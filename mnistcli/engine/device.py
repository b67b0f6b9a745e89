"""Choose device, precision and threads; create one random generator for every purpose."""

import hashlib
import platform
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

from mnistcli.errors import UsageError
from mnistcli.preset.choices import DeviceChoice, PrecisionChoice

Purpose = Literal[
    "weights",
    "order",
    "augmentation",
    "dropout",
    "step",
    "validation",
    "noise",
    "selection",
    "curriculum",
    "round",
    "judges",
    "robustness",
    "answers",
    "calibration",
    "folds",
    "study",
    "member",
]


def choose_device(choice: DeviceChoice) -> torch.device:
    """Return the device that `choice` names, or for `auto` the fastest available one.

    Raises:
        UsageError: the device is not available.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if choice == "auto":
        return torch.device(next((name for name, there in available.items() if there), "cpu"))
    if not available.get(choice, True):
        raise UsageError(f"--device {choice}: not available on this machine. Use --device cpu.")
    return torch.device(choice)


def choose_precision(choice: PrecisionChoice, device: torch.device) -> torch.dtype:
    """Return the dtype to train in; for `auto` bfloat16 on processors with native support."""
    if choice == "auto":
        return torch.bfloat16 if _has_native_bfloat16(device) else torch.float32
    return torch.bfloat16 if choice == "bfloat16" else torch.float32


def choose_look_steps(device: torch.device) -> int:
    """Return how many steps are taken before their losses are looked at, together.

    On a GPU a look waits until all that was started there is done, so there it comes seldom.
    """
    return 1 if device.type == "cpu" else 50


def choose_threads(choice: int | None) -> int:
    """Set and return PyTorch's number of threads; its default is the number of physical cores."""
    if choice is not None:
        torch.set_num_threads(choice)
    return torch.get_num_threads()


def make_generator(
    seed: int, purpose: Purpose, epoch: int = 0, device: torch.device | None = None
) -> torch.Generator:
    """Return a generator that depends on seed, purpose and epoch alone.

    The order of epoch 5 is therefore the same whether or not epochs 1 to 4 ran in this process.
    """
    generator = torch.Generator(device=device or torch.device("cpu"))
    return generator.manual_seed(derive_seed(seed, purpose, epoch))


def derive_seed(seed: int, purpose: Purpose, epoch: int = 0, step: int | None = None) -> int:
    """Return a seed in 0 … 2^63 - 1 that depends on the arguments alone."""
    place = f"{epoch}" if step is None else f"{epoch}/{step}"
    digest = hashlib.sha256(f"{seed}/{purpose}/{place}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def seed_globally(seed: int) -> None:
    """Seed the global random generators of PyTorch, NumPy and Python.

    The code of a user's network draws from them: nn.Dropout, torch.rand, random.random. Not
    torch.manual_seed: without a GPU, that keeps a note of every call for later.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Let everything draw from a seed, and restore the global random generators afterwards."""
    before, numbers = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            seed_globally(seed)
            yield
    finally:
        random.setstate(before)
        np.random.set_state(numbers)


def measure_peak_memory() -> int | None:
    """Return the peak resident memory of this process in bytes, or None where it is unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def _has_native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and platform.machine().lower() in {"x86_64", "amd64"}:
        features = torch.cpu.get_capabilities()
        return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return False
