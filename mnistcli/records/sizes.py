"""What is known of a network's bytes before an export."""

from mnistcli.records.base import Document


class IntegerSizes(Document):
    """Bytes that a network needs on any device, in integers: the code comes on top."""

    constants: int | None = None
    """Bytes of all weights, biases, multipliers and tables; null without an integer form."""
    memory: int | None = None
    """Bytes for the values between the layers, of an image as a whole or row by row, whichever are
    fewer; null without an integer form."""
    stream: bool = False
    """Whether `memory` is that of an image that comes row by row."""
    fault: str | None = None
    """Why there is no integer form."""
