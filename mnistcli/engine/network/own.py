"""A network from the user's code: built from a seed, and looked at before it is trained."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.network.build import count_parameters
from mnistcli.engine.network.code import make_module, running
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
    # PyTorch's initializers take no generator: seed the global one, and restore it afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
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
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        outputs = _forward(code, module, images)
        _forward(code, module, images[:1])
    if bool((outputs >= 0).all()) and bool(((outputs.sum(dim=1) - 1).abs() < TOLERANCE).all()):
        return [
            f"{code.python} returns probabilities. Return logits: leave out the softmax, which the "
            "loss applies itself."
        ]
    return []


def rehearse(
    code: Code, module: nn.Module, sizes: Iterable[int], precision: torch.dtype
) -> list[str]:
    """Take the training's steps on random images, up to the gradients; the network is changed.

    Args:
        code: the network's code.
        module: a network that is not needed any more.
        sizes: numbers of images in a batch.
        precision: float32 or bfloat16.

    Returns:
        Warnings.

    Raises:
        PresetError: a step fails, or has no gradient.
    """
    module.train()
    device = next(module.parameters()).device
    with torch.random.fork_rng(devices=[]):
        for size in sizes:
            images = torch.randn(size, 1, SIDE, SIDE, device=device)
            with torch.autocast(device.type, precision, precision != torch.float32):
                outputs = _forward(code, module, images)
            labels = torch.arange(size, device=device) % CLASSES
            if not outputs.requires_grad:
                raise PresetError(
                    f"the outputs of {code.python} do not depend on its parameters: no gradient "
                    "reaches them"
                )
            with running(code):
                torch.autograd.backward(functional.cross_entropy(outputs.float(), labels))
    return _name_unused(code, module)


def _forward(code: Code, module: nn.Module, images: Tensor) -> Tensor:
    """Return the outputs, float (n, 10).

    Raises:
        PresetError: the forward fails, or returns something else.
    """
    with running(code):
        outputs = module(images)
    count, returned = len(images), "returns"
    wanted = "Return the logits, a float tensor (n, 10)."
    if count == 1:
        returned = "returns, for a batch of one image,"
    if not isinstance(outputs, Tensor):
        raise PresetError(f"{code.python} {returned} {_name_kind(outputs)}. {wanted}")
    if outputs.shape != (count, CLASSES):
        shape = "×".join(map(str, outputs.shape)) or "a single value"
        raise PresetError(
            f"{code.python} {returned} {shape} instead of {count}×{CLASSES}. {wanted}"
        )
    if not outputs.is_floating_point():
        kind = str(outputs.dtype).removeprefix("torch.")
        raise PresetError(f"{code.python} {returned} values of type {kind}. {wanted}")
    return outputs


def _name_kind(value: object) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0].lower() in "aeiou" else f"a {kind}"


def _check_parameters(code: Code, module: nn.Module) -> None:
    parameters = list(module.parameters())
    if not any(each.requires_grad for each in parameters):
        raise PresetError(f"{code.python} has no parameters to train")
    if count_parameters(module) > PARAMETER_LIMIT:
        raise PresetError(f"{code.python} has more than {PARAMETER_LIMIT:,} parameters")
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor) or value.is_sparse or value.is_quantized:
            raise PresetError(f"{code.python} keeps a state that is not a plain tensor: {name}")


def _name_unused(code: Code, module: nn.Module) -> list[str]:
    unused = [
        name
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    if not unused:
        return []
    names = ", ".join(unused[:5]) + (", …" if len(unused) > 5 else "")
    return [f"{code.python} does not use {len(unused)} of its parameters: {names}"]
