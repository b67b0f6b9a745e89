"""Preset → description of its network, before any training."""

from dataclasses import asdict

from mnistcli.engine.network.memory import count_values
from mnistcli.experiment.network import describe_network
from mnistcli.experiment.rehearsal import examine_network
from mnistcli.experiment.sizes import count_sizes
from mnistcli.preset.schema import Preset
from mnistcli.records.documents import LayerRow, Memory, Summary
from mnistcli.verdict.budget import check_budget, passed
from mnistcli.verdict.claims import audit_claims, measured_by_reference

BYTES_PER_VALUE = 4


def summarize(preset: Preset) -> Summary:
    """Build the network and return its layers, costs, budget checks and published claims.

    Raises:
        PresetError: the network cannot be built.
    """
    frozen, warnings = examine_network(preset)
    layers = describe_network(preset)
    parameters = preset.members * sum(layer.parameters for layer in layers)
    held, outputs = count_values(layers)
    macs = preset.members * sum(layer.macs for layer in layers)
    sizes = count_sizes(preset)
    checks = check_budget(preset.budget, {"parameters": parameters, "macs": macs}, sizes)
    return Summary(
        preset=preset,
        parameters=parameters,
        macs=macs,
        layers=tuple(LayerRow(**asdict(layer)) for layer in layers),
        memory=Memory(
            parameters=BYTES_PER_VALUE * parameters,
            forward=BYTES_PER_VALUE * held,
            backward=BYTES_PER_VALUE * 2 * outputs,
        ),
        published=audit_claims(preset, parameters, measured_by_reference(preset.reference)),
        checks=checks,
        passed=passed(checks),
        is_measured=preset.model.layers is None,
        frozen_parameters=frozen,
        warnings=warnings,
        integer_sizes=sizes,
    )
