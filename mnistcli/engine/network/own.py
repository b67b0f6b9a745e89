"""A network from the user's code: built from a seed, and looked at before it is trained."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.device import drawing_from
from mnistcli.engine.network.build import LayerDescription, count_parameters
from mnistcli.engine.network.code import make_module, running
from mnistcli.engine.network.contain import refuse
from mnistcli.engine.network.describe import describe_module, measure_reach
from mnistcli.engine.network.hidden import find_hidden
from mnistcli.engine.network.trace import PARAMETER_LIMIT
from mnistcli.errors import PresetError
from mnistcli.preset.code.code import Code

LOOKED_AT = 64
TOLERANCE = 1e-3


def build_own(code: Code, seed: int) -> nn.Module:
    """Build the code's network with initial weights drawn from the seed, lazy layers too.

    Raises:
        PresetError: the code is not trusted, fails, or is no network for these images.
    """
    with drawing_from(seed):
        module = make_module(code)
        with running(code), torch.no_grad():
            module.eval()
            if any(is_lazy(each) for each in (*module.parameters(), *module.buffers())):
                module(torch.zeros(2, 1, SIDE, SIDE))
            module.train()
        _check_parameters(code, module)
    return module


def look_at_outputs(code: Code, module: nn.Module) -> list[str]:
    """Check what a network returns for two images and for one, in evaluation mode.

    Returns:
        Warnings.

    Raises:
        PresetError: it fails, or does not return a logit for every digit of every image.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(LOOKED_AT, 1, SIDE, SIDE, generator=generator)
    module.eval()
    with drawing_from(0), torch.no_grad():
        outputs = forward(code, module, images)
        forward(code, module, images[:1])
    if bool((outputs >= 0).all()) and bool(((outputs.sum(dim=1) - 1).abs() < TOLERANCE).all()):
        return [
            f"{code.python} returns probabilities. Return logits: leave out the softmax, which the "
            "loss applies itself."
        ]
    return []


def choose_layout(code: Code) -> tuple[torch.memory_format, list[str]]:
    """Return channels last, which is faster, unless the code reshapes with Tensor.view.

    Returns:
        The layout, and warnings of `look_at_outputs`.

    Raises:
        PresetError: the network fails in any layout.
    """
    layout = torch.channels_last
    module = build_own(code, 0).to(memory_format=layout)
    try:
        warnings = look_at_outputs(code, module)
        outputs = forward(code, module.train(), torch.zeros(2, 1, SIDE, SIDE))
        with running(code):
            torch.autograd.backward(outputs.sum())
    except PresetError as error:
        if "view size is not compatible" not in str(error):
            raise
        layout = torch.contiguous_format
        warnings = look_at_outputs(code, build_own(code, 0))
    return layout, warnings


def describe_own(code: Code, *, measured: bool = False) -> list[LayerDescription]:
    """Return one row for every module of the network that runs.

    Args:
        code: the network's code.
        measured: whether to measure the receptive fields, which takes most of the time.

    Raises:
        PresetError: it fails.
    """
    module = build_own(code, 0)
    with running(code):
        rows = describe_module(module)
        reach = measure_reach(module) if measured else {}
    return [replace(row, receptive_field=reach.get(row.name, row.receptive_field)) for row in rows]


def forward(code: Code, module: nn.Module, images: Tensor) -> Tensor:
    """Return the outputs, float (n, 10).

    Raises:
        PresetError: the forward fails, returns something else, or in training mode something
            without a gradient.
    """
    with running(code):
        outputs = module(images)
    count, returned = len(images), "returns"
    wanted = "Return the logits, a float tensor (n, 10)."
    if count == 1:
        returned = "returns, for a batch of one image,"
    if type(outputs) is not Tensor:
        raise refuse(code, f"{returned} {_name_kind(outputs)}. {wanted}", module)
    if outputs.shape != (count, CLASSES):
        shape = "×".join(map(str, outputs.shape)) or "a single value"
        reason = f"{returned} {shape} instead of {count}×{CLASSES}. {wanted}"
        raise refuse(code, reason, module)
    if not outputs.is_floating_point():
        kind = str(outputs.dtype).removeprefix("torch.")
        raise refuse(code, f"{returned} values of type {kind}. {wanted}", module)
    if module.training and not outputs.requires_grad:
        reason = "returns outputs that do not depend on its parameters: no gradient reaches them"
        raise refuse(code, reason, module)
    return outputs


def _name_kind(value: object) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0].lower() in "aeiou" else f"a {kind}"


def check_weights_decide(code: Code) -> None:
    """Refuse a network whose outputs depend on more than its parameters and buffers.

    Two networks from different seeds must agree once they have the same weights: that is what is
    counted, trained and saved.

    Raises:
        PresetError: they do not.
    """
    one, other = build_own(code, 0).eval(), build_own(code, 1).eval()
    images = torch.randn(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    outputs = []
    with torch.no_grad():
        with running(code):
            other.load_state_dict(one.state_dict())
        for module in (one, other):
            with drawing_from(0):
                outputs.append(forward(code, module, images.clone()))
    first, second = outputs
    if not torch.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        raise refuse(
            code,
            "computes with random values that are neither parameters nor buffers, so nothing saves "
            "them. Use nn.ModuleList, nn.Parameter or register_buffer.",
        )


def _check_parameters(code: Code, module: nn.Module) -> None:
    parameters = list(module.parameters())
    if hidden := find_hidden(module):
        raise refuse(
            code,
            f"has layers or parameters that PyTorch does not see, in {', '.join(hidden)}. Use "
            "nn.ModuleList, nn.ModuleDict or nn.ParameterList.",
        )
    if not any(each.requires_grad for each in parameters):
        raise refuse(code, "has no parameters to train")
    if count_parameters(module) > PARAMETER_LIMIT:
        raise refuse(code, f"has more than {PARAMETER_LIMIT:,} parameters")
    with running(code):
        kept = dict(module.state_dict())
    for name, value in (*kept.items(), *module.named_buffers()):
        if not _is_plain(value):
            raise refuse(code, f"keeps a state that is not a plain tensor: {name}")
    for name, parameter in module.named_parameters():
        if not parameter.is_floating_point():
            kind = str(parameter.dtype).removeprefix("torch.")
            raise refuse(code, f"has a parameter of type {kind}: {name}")
        if name not in kept:
            raise refuse(code, f"leaves out a parameter in state_dict(): {name}")


def _is_plain(value: object) -> bool:
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return not (value.is_quantized or value.is_meta)
