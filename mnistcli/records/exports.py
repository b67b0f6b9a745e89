"""JSON output of `export`."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.records.base import Document
from mnistcli.records.documents import Check, Interval


class ExportedFile(Document):
    """A file that was written."""

    path: str
    bytes: int
    sha256: str


class ExportedAccuracy(Document):
    """Accuracy on the test set."""

    accuracy: float
    correct: int
    total: int
    interval: Interval
    """Wilson's 95 % confidence interval."""


class Parity(Document):
    """Whether what was exported computes what the definition computes, image by image."""

    name: str
    """What was run, as in "C"."""
    tool: str | None
    """What ran it, as in "cc"; null if there is no such program."""
    images: int
    """Number of images that were run."""
    equal: int
    """Number of images with every logit equal."""
    first_difference: int | None = None
    """Index of the first image with another logit; for ONNX, with one that is far off."""
    reason: str | None = None
    """Why it was not run, if a program for it is there."""
    equal_answers: int | None = None
    """Number of images with the same answer; measured for ONNX, which rounds in other places."""
    max_difference: float | None = None
    """Largest difference of two logits; measured for ONNX."""


class MeasuredTarget(Document):
    """What an exported header adds to a program for a device, in bytes."""

    name: str
    compiler: str
    """First line of what the compiler says of its version."""
    options: str
    """Options that it was compiled with."""
    flash: int
    """Code and constants, with what they need of the compiler's library; not vectors, start-up
    code and the program around it."""
    ram: int
    """Variables and stack; the caller's come on top."""
    stack: int | None
    """Stack, as part of `ram`; null if the compiler does not tell it."""
    stack_measured_by: Literal["emulator", "compiler"]
    """The compiler tells the functions' frames, without those of its library. The emulator sees
    which memory was changed; where it ran, the larger figure counts."""
    caller_ram: int
    """The image, or a row of it, and the logits."""
    device_flash: int | None
    """Flash of the device; null for a processor that many devices have."""
    device_ram: int | None
    program_flash: int | None = None
    """Flash of the whole program that ran in QEMU: with vectors, start-up code, and what reads
    images; null if none did."""
    instructions: float | None
    """Instructions for one image, as the emulator counts them."""
    cycles: float | None
    """Cycles for one image, as the emulator counts them."""


class ExportDocument(Document):
    """Output of `export`."""

    schema_: Annotated[Literal["mnistcli.export/1"], Field(alias="schema")] = "mnistcli.export/1"
    run_id: str
    preset: str
    data: str
    """Name or path of the data set that accuracies were measured on."""
    to: str
    files: tuple[ExportedFile, ...]
    parameters: int
    macs: int
    """Multiply-accumulates (MACs) for one image."""
    constants: int | None
    """Bytes of all weights, biases, multipliers and tables; null without an integer model."""
    memory: int | None
    """Bytes for the values between the layers; with `stream` for rows of the image, too, and for
    how far it is. The image, or a row of it, and the logits come on top."""
    stream: bool = False
    """Whether the header takes the image row by row."""
    weight_bits: int | None = None
    """Bits that a weight is stored in; null without an integer model."""
    float_test: ExportedAccuracy | None
    """Before it was converted to integers; null for a network that was trained for them."""
    integer_test: ExportedAccuracy | None
    integer_reason: str | None = None
    """Why there is no integer model."""
    parity: tuple[Parity, ...]
    target: MeasuredTarget | None = None
    """Present with `--target`, as are the checks."""
    checks: tuple[Check, ...] = ()
    passed: bool = True
