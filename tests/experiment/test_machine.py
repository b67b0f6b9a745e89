import pytest
import torch

from mnistcli import __version__
from mnistcli.errors import UsageError
from mnistcli.experiment.machine import Options, choose_machine, list_versions


def test_what_is_asked_for_is_taken() -> None:
    before = torch.get_num_threads()
    try:
        machine = choose_machine(Options(device="cpu", precision="float32", threads=1))
        assert machine.device == torch.device("cpu")
        assert machine.precision_name == "float32"
        assert machine.threads == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_device_is_one_line() -> None:
    with pytest.raises(UsageError, match="--device cuda: not available"):
        choose_machine(Options(device="cuda"))


def test_versions_name_all_that_bits_may_depend_on() -> None:
    versions = list_versions()
    assert versions.keys() == {
        "mnistcli", "python", "torch", "numpy", "scikit-learn", "scipy", "platform", "cpu",
    }  # fmt: skip
    assert versions["mnistcli"] == __version__
    assert all(versions.values())
