"""Device, precision, threads, and one random generator for every purpose."""

import hashlib
import platform
import sys
from typing import Literal

import torch

from mnistcli.errors import UsageError
from mnistcli.preset.choices import DeviceChoice, PrecisionChoice

Purpose = Literal[
    "weights",
    "order",
    "augmentation",
    "dropout",
    "validation",
    "noise",
    "selection",
    "curriculum",
    "round",
    "judges",
    "robustness",
]


def choose_device(choice: DeviceChoice) -> torch.device:
    """The device asked for, or by `auto` the best there is.

    Raises:
        UsageError: the machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if choice == "auto":
        return torch.device(next((name for name, there in available.items() if there), "cpu"))
    if not available.get(choice, True):
        raise UsageError(f"--device {choice}: this machine has none; use --device cpu")
    return torch.device(choice)


def choose_precision(choice: PrecisionChoice, device: torch.device) -> torch.dtype:
    """What the network computes in; by `auto` bfloat16 where the processor has it natively."""
    if choice == "auto":
        return torch.bfloat16 if _has_native_bfloat16(device) else torch.float32
    return torch.bfloat16 if choice == "bfloat16" else torch.float32


def choose_threads(choice: int | None) -> int:
    """Makes PyTorch use that many threads, by default as many as there are physical cores."""
    if choice is not None:
        torch.set_num_threads(choice)
    return torch.get_num_threads()


def make_generator(
    seed: int, purpose: Purpose, epoch: int = 0, device: torch.device | None = None
) -> torch.Generator:
    """A generator that depends on seed, purpose and epoch alone.

    So the order of epoch 5 is the same whether or not epochs 1 to 4 ran in this process.
    """
    generator = torch.Generator(device=device or torch.device("cpu"))
    return generator.manual_seed(derive_seed(seed, purpose, epoch))


def derive_seed(seed: int, purpose: Purpose, epoch: int = 0) -> int:
    """A seed in 0 … 2^63 - 1 that depends on these alone."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def measure_peak_memory() -> int | None:
    """The largest resident size of this process so far, in bytes, where the system tells it."""
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
