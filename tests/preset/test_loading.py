import codecs
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistcli.errors import FileError, PresetError
from mnistcli.preset.loading import (
    copy_preset,
    find_preset,
    list_presets,
    load_preset,
    presets_folder,
)

NAMES, PRESETS = list_presets(), presets_folder()


def fault(reference: str, *overrides: str) -> str:
    with pytest.raises(PresetError) as raised:
        load_preset(reference, overrides)
    return str(raised.value)


def test_every_documented_system_is_bundled() -> None:
    documented = "dualblock journey-v1 journey-v2 onebyone optimizednet optimizednet-published"
    assert {*documented.split(), "sevenconv", "sprint"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_preset_takes_its_name_from_its_file(name: str) -> None:
    assert load_preset(name).name == name


def test_a_copy_is_a_preset_of_its_own(tmp_path: Path) -> None:
    path = copy_preset("sevenconv", tmp_path / "mine.toml")
    mine = load_preset(str(path))
    assert mine.name == "mine"
    assert mine.model == load_preset("sevenconv").model
    assert mine.published is mine.reference is None
    assert mine.budget == load_preset("sevenconv").budget
    assert (tmp_path / "mine.toml").read_text().endswith("momentum = 0.9\n")
    assert copy_preset("sevenconv", tmp_path) == tmp_path / "sevenconv.toml"


def test_a_copy_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("precious")
    with pytest.raises(FileError, match="the file exists"):
        copy_preset("sevenconv", tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        ("a = 1\n[published]\nclaims = []\n  [budget]\n  b = 2", "a = 1\n  [budget]\n  b = 2\n"),
        ("\t[ reference ] # x\n# y\nc = 3\n# z\n\n[[augment]]\nd = 4\n", "[[augment]]\nd = 4\n"),
        ("[published]\n# x\nclaims = []\n# of b\n  # too\n[b]\n", "# of b\n  # too\n[b]\n"),
        ("[a]\n[[published.claims]]\nb = 1\n[[published.claims]]\nb = 2\n[c]\n", "[a]\n[c]\n"),
        ("[a]\r\nb = 1\r\n[reference]\r\nc = 1\r\n[d]\r\n", "[a]\r\nb = 1\r\n[d]\n"),
        ("[published_by]\na = 1", "[published_by]\na = 1"),
        ('a = """\n[published]\nb\n"""\n', 'a = """\n[published]\nb\n"""\n'),
        ('[reference]\na = """\n# x\n"""\n[b]\n', "[b]\n"),
        ("published.claims = []\n# a\n[a]\nb = 1\n", "# a\n[a]\nb = 1\n"),
        ("published = { claims = [] } # x\n", "\n"),
        ('["reference"]\na = 1\n', "\n"),
        ('a = """\n[published]\n"""\n[reference]\nc = 1\n', 'a = """\n[published]\n"""\n'),
        ('[published]\na = """\n[b]\nc = 1 # """\n', "\n"),
        ('[published]\na = """\n[b]\n"""\n# x\n[reference]\nc = 1\n# y', "\n"),
        ("[published]\na = 1\n[b]\n# x\n[published.c]\n# y\n[d.e]\n", "[b]\n# x\n# y\n[d.e]\n"),
    ],
)
def test_a_copy_is_the_source_but_for_what_was_claimed_and_measured(
    text: str, copied: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "source.toml", tmp_path / "copy.toml"
    source.write_bytes(text.encode())
    assert copy_preset(str(source), target) == target
    assert target.read_bytes().decode() == copied


def test_what_is_no_toml_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "source.toml"
    source.write_text("title = ")
    with pytest.raises(PresetError) as raised:
        copy_preset(str(source), tmp_path / "copy.toml")
    assert str(raised.value) == fault(str(source))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.slow
def test_a_copy_of_many_comments_takes_no_time(tmp_path: Path) -> None:
    source = tmp_path / "source.toml"
    source.write_text("[reference]\n" + "#\n" * 130_000 + "a = 1\n")
    begun = process_time()
    assert copy_preset(str(source), tmp_path / "copy.toml").read_text() == "\n"
    assert process_time() - begun < 5


@pytest.mark.parametrize("problem", [PermissionError(13, "Permission denied"), ValueError("null")])
def test_a_destination_that_cannot_be_looked_at_is_said(
    problem: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise problem

    monkeypatch.setattr(Path, "is_dir", refuse)
    monkeypatch.setattr("mnistcli.preset.loading.find_preset", lambda _: PRESETS / "sprint.toml")
    with pytest.raises(FileError, match=r'cannot write ".*x.toml": (Permission denied|null)$'):
        copy_preset("sprint", tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.epochs=7", ("train", "epochs"), 7),
        ("train.epochs = 7", ("train", "epochs"), 7),
        ("augment.0.degrees=3.5", ("augment", 0, "degrees"), 3.5),
        ("title=A word", ("title",), "A word"),
        ("model.layers.0.out_channels=9", ("model", "layers", 0, "out_channels"), 9),
        ("budget.max_train_seconds=3", ("budget", "max_train_seconds"), 3),
        ("train.optimizer={kind='sgd', learning_rate=0.5}", ("train", "optimizer", "kind"), "sgd"),
    ],
)
def test_set_overrides_any_field(override: str, path: tuple, value: object) -> None:
    found: object = load_preset("sprint", [override])
    for key in path:
        found = found[key] if isinstance(key, int) else getattr(found, key)
    assert found == value


@pytest.mark.parametrize(
    ("override", "stays"),
    [
        ("train.epochs=1", False), ("model.layers.0.out_channels=9", False), ("augment=[]", False),
        ("data.label_noise=0.5", False), (" train.epochs = 1", False),
        ("budget.max_epochs=3", True), ("budget={max_epochs=3}", True),
    ],
)  # fmt: skip
def test_what_was_claimed_and_measured_is_of_the_preset_as_it_is(
    override: str, stays: bool
) -> None:
    preset = load_preset("sevenconv", [override])
    assert (preset.published is not None) == (preset.reference is not None) == stays


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.epohcs=5", ["train.epohcs", 'Did you mean "epochs"']),
        ("train.epochs=-1", ["train.epochs", "greater than or equal to 1", "-1"]),
        ("train.epochs=two", ["train.epochs", "integer", "two"]),
        ("train.epochs=true", ["train.epochs", "integer"]),
        ("train.optimizer.kind=adm", ["train.optimizer", 'Did you mean "adam"']),
        ("train.optimizer.lr=1", ["train.optimizer.lr", "learning_rate"]),
        ("train.optimizer.learning_rate=nan", ["train.optimizer.learning_rate", "finite"]),
        ("model.layers.0.out_chanels=3", ["model.layers.0.out_chanels", '"out_channels"']),
        ("model.layers.99.kind=relu", ["model.layers.99", "0 to 11"]),
        ("model.layers=[]", ["model.layers", "at least 1"]),
        ("train.schedule={kind='step'}", ["train.schedule.every_epochs", "required"]),
        ("augment.0.interpolation=cubic", ["augment.0.interpolation", "'nearest'"]),
        ("augment.0.scale=[1.2, 1.0]", ["augment.0", "[min, max]"]),
        ("budget.max_parameters=5", ["budget", "cannot be combined with"]),
        ("train.epochs.x=1", ["train.epochs", "no fields"]),
        ("name=../../x", ["name", "pattern"]),
        ("epochs", ["--set", "a.b=c"]),
        ("=5", ["--set", "a.b=c"]),
    ],
)
def test_a_wrong_override_is_one_line_that_names_the_field(override: str, parts: list[str]) -> None:
    message = fault("sprint", override)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_an_unknown_name_is_corrected_or_all_are_listed() -> None:
    assert 'Did you mean "sevenconv"?' in fault("sevencon")
    assert all(name in fault("zzz") for name in NAMES)


@pytest.mark.parametrize("reference", ["missing.toml", "folder/", "../x", "a\0b.toml"])
def test_an_unreadable_file_is_said(reference: str) -> None:
    assert "cannot read" in fault(reference)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_is_no_fault(tmp_path: Path, newline: str) -> None:
    text = (PRESETS / "sevenconv.toml").read_text(encoding="utf-8").replace("\n", newline)
    path = tmp_path / "sevenconv.toml"
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    assert load_preset(str(path)) == load_preset("sevenconv")
    copied = copy_preset(str(path), tmp_path / "copy.toml").read_bytes()
    assert not copied.startswith(codecs.BOM_UTF8)
    assert b"\r\r" not in copied
    assert load_preset(str(tmp_path / "copy.toml")).model == load_preset("sevenconv").model


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_another_encoding_is_one_clear_line(tmp_path: Path, encoding: str) -> None:
    text = (PRESETS / "onebyone.toml").read_text(encoding="utf-8").replace("title", "# ü\ntitle", 1)
    path = tmp_path / "x.toml"
    bom = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    path.write_bytes(bom + text.encode(encoding, errors="ignore"))
    kind = "a UTF-16 text file" if bom or encoding == "utf-16" else "not a UTF-8 text file"
    words = f'the preset "{path}" is {kind}. Save it as UTF-8.'
    for read in (load_preset, lambda name: copy_preset(name, tmp_path / "copy.toml")):
        with pytest.raises(PresetError) as raised:
            read(str(path))
        assert str(raised.value) == words


def test_a_file_that_is_no_preset_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    for content, word in (
        (b"title = ", "not TOML"),
        (b"\xff\xfe", "UTF-8"),
        (b"#" * 2_000_000, "larger"),
        (b"", "required"),
        (b"a = " + b"[" * 5_000, "values are nested too deeply. Nest them less."),
        (b"# \xc2\x9b31m\n", "a control character, U+009B"),
    ):
        path.write_bytes(content)
        assert word in fault(str(path))


@pytest.mark.slow
@given(
    keys=st.lists(
        st.sampled_from("train model layers 0 1 augment budget kind x".split()), min_size=1
    ),
    value=st.one_of(
        st.integers(), st.floats().map(repr), st.text(), st.just("[1, {a = 2}]"), st.just("true")
    ),
)
def test_no_override_does_anything_but_fit_or_be_refused(keys: list[str], value: object) -> None:
    try:
        load_preset("onebyone", [f"{'.'.join(keys)}={value}"])
    except PresetError as error:
        assert str(error)


def test_a_name_is_never_a_path() -> None:
    for name in ("../presets/sprint", "/etc/passwd", "sprint/../sprint"):
        assert find_preset(name) == Path(name)
    with pytest.raises(PresetError):
        find_preset("..")
