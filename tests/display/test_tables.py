from mnistcli.display.tables import presets_view, run_view, summary_view
from mnistcli.preset.loading import load_preset
from mnistcli.records.documents import LayerRow, Memory, Profile, Summary
from mnistcli.records.earlier import Repetition
from mnistcli.records.presets import PresetList, PresetRow
from tests.display.samples import SPRINT, drawn, make_check, make_claim, make_phase, make_run, row


def make_summary(**changes: object) -> Summary:
    layers = [
        LayerRow(
            name="10", kind="global_average_pool", output_shape=(64, 28, 28), parameters=0,
            macs=0, receptive_field=28,
        ),
        LayerRow(
            name="11", kind="linear", output_shape=(10,), parameters=12_345_678,
            macs=123_456_789, receptive_field=28,
        ),
    ]  # fmt: skip
    fields = {
        "preset": SPRINT, "parameters": 12_345_678, "macs": 123_456_789, "layers": layers,
        "memory": Memory(parameters=49_382_712, forward=200_000, backward=400_000),
        "published": (make_claim(where="a table in a document with a long name, part 3"),),
        "checks": (make_check("parameters", comparison="<", limit=20_000, value=12_345_678),),
        "passed": False,
    }  # fmt: skip
    return Summary.model_validate(fields | changes)


def test_a_summary_has_layers_totals_claims_reference_and_checks() -> None:
    lines = drawn(summary_view(make_summary()))
    assert row(lines, "10") == ["global_average_pool", "64×28×28", "28"]
    assert row(lines, "11") == ["linear", "10", "12,345,678", "123,456,789", "28"]
    text = "\n".join(lines)
    assert "12,345,678 parameters   123,456,789 multiply-accumulates (MACs) per image" in text
    assert "parameters 47.1 MiB, per image forward 195.3 KiB, backward 390.6 KiB" in text
    assert "one-sided t-test" in text
    assert SPRINT.reference
    assert f"over {len(SPRINT.reference.seeds)} seeds" in text


def test_a_summary_without_claims_and_limits_says_nothing_of_them() -> None:
    bare = make_summary(
        preset=SPRINT.model_copy(update={"reference": None}), published=(), checks=()
    )
    text = "\n".join(drawn(summary_view(bare)))
    for word in ("published", "t-test", "budget", "measured"):
        assert word not in text


def test_a_run_ends_with_its_path_and_the_next_command() -> None:
    lines = drawn(run_view(make_run()))
    assert lines[0] == (" test 99.44 %   9,944 of 10,000 correct   95 % interval 99.27 – 99.57 %")
    assert row(lines, "epochs") == ["2", "–"]
    assert lines[-2:] == [
        " PASS  written to runs/sprint-s0",
        " next: mnistcli evaluate runs/sprint-s0",
    ]


def test_a_failed_run_is_reported_on_and_its_path_can_be_pasted() -> None:
    run = make_run(passed=False, path="my runs/it's", checks=(make_check(verdict="fail"),))
    assert drawn(run_view(run))[-2:] == [
        """ FAIL  written to 'my runs/it'"'"'s'""",
        """ next: mnistcli report 'my runs/it'"'"'s'""",
    ]


def test_a_repetition_says_whether_the_weights_are_equal() -> None:
    def line(**fields: object) -> str:
        repeats = Repetition(run_id="earlier", weights_sha256="x", **fields)
        return "\n".join(drawn(run_view(make_run(repeats=repeats))))

    assert " weights equal to earlier, bit for bit\n" in line(differences=(), matches=True)
    unknown = line(differences=(), matches=False)
    assert " weights differ from earlier; recorded differences: none\n" in unknown
    known = line(differences=("torch 2.10 → 2.11", "threads 1 → 2"), matches=False)
    assert "recorded differences: torch 2.10 → 2.11; threads 1 → 2\n" in known


def test_a_profile_shows_where_the_time_went() -> None:
    profile = Profile(
        stages={"data": 1.0, "forward": 3.0}, images_per_second=15_000.0,
        ceiling_images_per_second=20_000.0, fraction_of_ceiling=0.75,
    )  # fmt: skip
    lines = drawn(run_view(make_run(profile=profile)))
    assert row(lines, "forward") == ["3.00", "s", "75.0", "%"]
    assert (
        " 15,000 images/s, 75 % of the 20,000 of the network alone; peak memory 117.7 MiB" in lines
    )


def test_a_run_with_phases_has_their_tables() -> None:
    run = make_run(phases=(make_phase(1), make_phase(2)), phases_evaluated_on="validation images")
    assert " accuracy after each phase, on validation images" in drawn(run_view(run))


def test_presets_are_listed_by_name() -> None:
    names = ("sprint", "optimizednet-curriculum-published")
    rows = [PresetRow(name=name, title=load_preset(name).title, path="x") for name in names]
    lines = drawn(presets_view(PresetList(presets=tuple(rows))))
    assert [line.split()[0] for line in lines[2:] if line[0] != " "] == list(names)
