from __future__ import annotations

import gzip

import pytest

from medground.cards.collect import write_evidence
from medground.cards.evidence import evidence_of, read_evidence
from medground.evaluation.scene import ENDING
from medground.schema.errors import CardError
from medground.schema.subgroup import Axis
from tests.cards.made_evidence import WEIGHTS, files_of, four_films, made_evidence

SCENE = f"scenes/films{ENDING}"


def test_it_survives_its_folder_with_the_groups_of_its_images(tmp_path):
    first = made_evidence()
    write_evidence(first, tmp_path / "evidence")
    again = read_evidence(tmp_path / "evidence")
    assert again == first
    assert again.scenes["films"] == four_films()
    assert again.scenes["films"].images[0].attributes == {Axis.SEX: "female"}
    with pytest.raises(CardError, match="is not empty"):
        write_evidence(first, tmp_path / "evidence")


@pytest.mark.parametrize(
    "name", ["notes.txt", "scenes/films.json", "scenes/../films.scene.json.gz", "pictures/A b.png"]
)
def test_a_file_that_is_no_part_of_it_is_refused(tmp_path, name):
    write_evidence(made_evidence(), tmp_path / "evidence")
    path = tmp_path / "evidence" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    with pytest.raises(CardError, match="is no part of the evidence of a card"):
        read_evidence(tmp_path / "evidence")


def test_a_link_is_refused(tmp_path):
    write_evidence(made_evidence(), tmp_path / "evidence")
    path = tmp_path / "evidence" / "data_cards" / "other.json"
    path.symlink_to(tmp_path / "evidence" / "manifest.json")
    with pytest.raises(CardError, match="is no part"):
        read_evidence(tmp_path / "evidence")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("scope.json", b"{}", r"scope\.json in the evidence is not the one of the bundle"),
        ("images.json", b'{"films": {"a": {"shoe": "45"}}}', "does not say groups"),
        ("weights.json", b"{}", r"weights\.json in the evidence cannot be read: parameters"),
        ("stated.yaml", b"model: [", "is no YAML"),
        ("stated.yaml", b"model: another", "lacks something"),
        (SCENE, b"no gzip at all", "is no scene"),
        (SCENE, gzip.compress(b"{}", mtime=0), "is no scene"),
        (SCENE, files_of({"films": four_films()})[SCENE][:-1], "cut short"),
        (SCENE, files_of({"films": four_films()})[SCENE] + b"x", "followed by something"),
    ],
)
def test_a_damaged_file_is_named(name, content, words):
    with pytest.raises(CardError, match=words):
        evidence_of(files_of({"films": four_films()}) | {name: content})


def test_what_is_missing_and_what_is_said_of_another_model_are_refused():
    files = files_of({"films": four_films()})
    with pytest.raises(CardError, match=r"code\.json is missing"):
        evidence_of({name: content for name, content in files.items() if name != "code.json"})
    other = files["stated.yaml"].replace(b"model: medground-compact", b"model: another")
    with pytest.raises(CardError, match="what is stated is of 'another'"):
        evidence_of(files | {"stated.yaml": other})


def test_a_scene_that_unpacks_to_more_than_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr("medground.cards.evidence.MOST_SCENE_BYTES", 100)
    with pytest.raises(CardError, match="too large"):
        made_evidence()


def test_all_scenes_together_are_held_to_the_limit(monkeypatch):
    size = len(gzip.decompress(files_of({"films": four_films()})[SCENE]))
    monkeypatch.setattr("medground.cards.evidence.MOST_SCENE_BYTES", 2 * size)
    three = {name: four_films() for name in ("a", "b", "c")}
    assert len(made_evidence({name: three[name] for name in ("a", "b")}).scenes) == 2
    with pytest.raises(CardError, match=r"scenes/c\.scene\.json\.gz in the evidence is no scene .*too large"):
        made_evidence(three)


def test_more_files_or_bytes_than_evidence_has_are_refused(tmp_path, monkeypatch):
    write_evidence(made_evidence(), tmp_path / "evidence")
    size = sum(path.stat().st_size for path in (tmp_path / "evidence").rglob("*") if path.is_file())
    monkeypatch.setattr("medground.cards.evidence.MOST_BYTES", size)
    read_evidence(tmp_path / "evidence")
    monkeypatch.setattr("medground.cards.evidence.MOST_BYTES", size - 1)
    with pytest.raises(CardError, match=f"have {size} bytes, more than {size - 1}"):
        read_evidence(tmp_path / "evidence")
    for number in range(401):
        (tmp_path / "evidence" / "pictures" / f"{number}").mkdir(parents=True)
    with pytest.raises(CardError, match="more than 200 files or as many folders"):
        read_evidence(tmp_path / "evidence")


def test_scenes_of_another_model_are_refused():
    other = four_films().model_copy(update={"system": "a model (abcdefabcdef)"})
    with pytest.raises(CardError, match="the scene films was measured with 'a model"):
        evidence_of(files_of({"films": other}))


def test_weights_of_another_model_are_refused():
    files = files_of({})
    files["weights.json"] = files["weights.json"].replace(WEIGHTS.encode(), b"0" * 64)
    with pytest.raises(CardError, match=r"weights.json in the evidence is not about the weights of the bundle"):
        evidence_of(files)
