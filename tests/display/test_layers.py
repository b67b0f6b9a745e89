"""The tree of a network's layers."""

from collections.abc import Sequence

from mnistcli.display.layers import draw_tree, layer_table
from mnistcli.records.documents import LayerRow
from tests.display.samples import drawn


def make_row(name: str, kind: str, parameters: int = 0, macs: int = 0) -> LayerRow:
    return LayerRow(
        name=name, kind=kind, output_shape=(16, 14, 14), parameters=parameters, macs=macs,
        receptive_field=45,
    )  # fmt: skip


def make_repeat(times: int, name: str = "3") -> list[LayerRow]:
    """A repeat of a residual with a convolution, whose weights are shared, and a normalization."""
    rows = [make_row(name, "repeat")]
    for number in range(times):
        rows += [
            make_row(f"{name}.{number}.0", "residual"),
            make_row(f"{name}.{number}.0.0", "conv", 0 if number else 2_304, 451_584),
            make_row(f"{name}.{number}.0.1", "batch_norm", 32),
        ]
    return rows


def lines_of(rows: Sequence[LayerRow]) -> list[str]:
    return drawn(layer_table(rows))


def test_layers_in_layers_are_indented_and_repetitions_taken_together() -> None:
    rows = [make_row("0", "conv", 416), *make_repeat(5), make_row("10", "linear", 10)]
    assert lines_of(rows)[3:] == [
        " 0       conv            16×14×14         416                    45",
        " 3       repeat ×5       16×14×14                                45",
        "3.0.0      residual      16×14×14                                45",
        "3.0.0.0      conv        16×14×14       2,304    451,584         45",
        "3.0.0.1      batch_norm  16×14×14          32                    45",
        "3.1–4      4 more        16×14×14         128  1,806,336         45",
        "10       linear          16×14×14          10                    45",
    ]


def test_two_repetitions_and_one() -> None:
    assert lines_of(make_repeat(2))[-1].split() == [
        "3.1", "1", "more", "16×14×14", "32", "451,584", "45"
    ]  # fmt: skip
    assert not any("more" in line for line in lines_of(make_repeat(1)))


def test_the_rows_of_the_tree_have_all_costs() -> None:
    inner = make_repeat(3, "3.0.0") + make_repeat(3, "3.1.0")
    rows = [make_row("0", "conv", 7, 70), make_row("3", "repeat"), *inner]
    tree = draw_tree(rows)
    assert sum(row.layer.parameters for row in tree) == sum(row.parameters for row in rows)
    assert sum(row.layer.macs for row in tree) == sum(row.macs for row in rows)
    assert [(row.layer.name, row.depth) for row in tree] == [
        ("0", 0), ("3", 0), ("3.0.0", 1), ("3.0.0.0.0", 2), ("3.0.0.0.0.0", 3),
        ("3.0.0.0.0.1", 3), ("3.0.0.1–2", 2), ("3.1", 1),
    ]  # fmt: skip


def test_the_deepest_tree_fits_on_the_page() -> None:
    names = ["3" + ".0.0" * level for level in range(8)]
    rows = [make_row(name, "repeat") for name in names[:-1]]
    rows.append(make_row(names[-1], "global_average_pool", 12_345_678, 4_123_456_789))
    text = "\n".join(lines_of(rows))
    assert "12,345,678" in text
    assert "4,123,456,789" in text


def test_long_names_of_a_user_are_a_tree_themselves() -> None:
    rows = [
        make_row("features", "Sequential"), make_row("features.0", "Conv2d", 5, 6),
        make_row("features.block", "Block"), make_row("features.block.norm", "BatchNorm2d", 8),
        make_row("fc", "[bold]Linear"), make_row("(outside modules)", "Net", 0, 9),
    ]  # fmt: skip
    assert [line[:32].rstrip() for line in lines_of(rows)[3:]] == [
        "features           Sequential",
        "  0                Conv2d",
        "  block            Block",
        "    norm           BatchNorm2d",
        "fc                 [bold]Linear",
        "(outside modules)  Net",
    ]
