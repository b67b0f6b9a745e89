"""Which inputs a layer can be built for, and what makes two shapes equal."""

from math import ceil

from torch import Tensor

from mnistcli.errors import PresetError
from mnistcli.preset import layers as spec


def show_shape(values: Tensor) -> str:
    """Return the shape without the batch, for example "8 × 14 × 14"."""
    return " × ".join(str(extent) for extent in values.shape[1:])


def check_input(layer: spec.PlainLayer, values: Tensor) -> None:
    """Refuse an input that the layer cannot be built for.

    Raises:
        PresetError: its shape does not suit the kind of layer.
    """
    has_places = values.dim() == 4
    match layer:
        case spec.Linear() if has_places:
            raise PresetError(f"the input is {show_shape(values)}; flatten or pool it first")
        case spec.InstanceNorm() if values[0, 0].numel() == 1 and has_places:
            raise PresetError(
                "one value per channel cannot be normalized: the input is "
                f"{show_shape(values)}. Leave it out, or use batch_norm"
            )
        case spec.GroupNorm() if values[0].numel() == layer.groups and has_places:
            raise PresetError(
                "one value per group cannot be normalized: the input is "
                f"{show_shape(values)}. Use fewer groups, or leave it out"
            )
        case (
            spec.Linear()
            | spec.Flatten()
            | spec.Dropout()
            | spec.ReLU()
            | spec.LeakyReLU()
            | spec.PReLU()
            | spec.SiLU()
            | spec.GELU()
            | spec.HardSwish()
        ):
            return
    if not has_places:
        raise PresetError("the input has no height and width")


def find_projection(inputs: Tensor, outputs: Tensor, stride: int) -> spec.PlainLayer | None:
    """Return the layer that gives `inputs` the shape of `outputs`, or None if they have it.

    Args:
        inputs: float (1, c, h, w) or (1, d).
        outputs: likewise.
        stride: product of the strides in between. Where it does not give the shape, since pooling
            drops a last row that is not full, the smallest stride that does is used.

    Raises:
        PresetError: there is no such layer.
    """
    if inputs.shape == outputs.shape:
        return None
    if inputs.dim() == outputs.dim() == 2:
        return spec.Linear(kind="linear", out_features=outputs.shape[1], bias=False)
    before, after = inputs.shape[-1], outputs.shape[-1]
    for each in (stride, ceil(before / after)):
        if inputs.dim() == outputs.dim() and ceil(before / each) == after:
            return spec.Conv(
                kind="conv",
                out_channels=outputs.shape[1],
                kernel_size=1,
                stride=each,
                padding=0,
                bias=False,
            )
    raise PresetError(
        f"the input, {show_shape(inputs)}, cannot be added to the output of its layers, "
        f"{show_shape(outputs)}. Let them keep the height and width, or divide them by a stride"
    )
