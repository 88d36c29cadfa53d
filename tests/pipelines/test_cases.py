"""Cases from phantoms: a copy of a bundle with a raised version, its weights as they were, a picture of each case."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.data.phantom.chest_ct import chest_ct_slice
from medground.data.pools import phantom_radiograph, phantom_slice
from medground.model.bundle import read_bundle
from medground.model.bundle_facts import read_facts, shipped_bundle_path
from medground.model.cases import Picture
from medground.model.scope import RARE_REAL_BOXES
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from pipelines.cases import EACH, chosen, main, radiographs, raised, sheet, shown_with_cases, slices
from pipelines.sources import DEVELOPMENT_SEEDS, HELD_OUT_SEEDS, TRAIN_SEEDS
from tests.model.made_cases import one_case, some_cases


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    words = ["--films", "6", "--slices", "4", "--threads", "1", "--sheet", folder / "sheet.png"]
    assert main([*map(str, words), "--out", str(folder / "bundle")]) == 0
    return folder


def test_the_bundle_is_a_copy_with_cases(made: Path) -> None:
    old, new = read_facts(), read_facts(made / "bundle")
    assert new.info.version == raised(old.info.version)
    assert (new.info.name, new.info.trained_on) == (old.info.name, old.info.trained_on)
    names = {path.name for path in (made / "bundle").iterdir()}
    assert names == {path.name for path in shipped_bundle_path().iterdir()} | {"cases.json", "cases.safetensors"}
    for name in ("weights.safetensors", "tokenizer.json", "vocabulary.json"):
        assert (made / "bundle" / name).read_bytes() == (shipped_bundle_path() / name).read_bytes(), name
    assert all(path.stat().st_size <= 15 * 2**20 for path in (made / "bundle").iterdir())
    before, after = read_bundle(), read_bundle(made / "bundle")
    assert (after.scope, after.calibration, after.summary) == (before.scope, before.calibration, before.summary)
    assert after.network.config == before.network.config
    assert after.cases.known == new.cases.known


def test_cases_are_of_rare_findings_that_were_learnt_from_phantoms(made: Path) -> None:
    facts = read_facts(made / "bundle")
    assert len(facts.cases.known) >= 4
    counted = Counter((one.concept, one.domain) for one in facts.cases.known)
    assert max(counted.values()) <= EACH
    for one in facts.cases.known:
        entry = facts.scope.find(one.concept, one.domain)
        assert entry is not None
        assert entry.real_boxes < RARE_REAL_BOXES
        assert one.synthetic
        assert (one.source, one.picture) == ("phantom", Picture.KEPT)
        assert one.longest_mm is not None
        assert set(one.appearance) <= set(entry.words)
    assert {one.domain for one in facts.cases.known} == {Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT}
    assert set(facts.cases.pictures) == {one.id for one in facts.cases.known}
    with Image.open(made / "sheet.png") as page:
        assert page.width > page.height > 100


def test_what_is_rare_and_was_never_drawn_gets_none() -> None:
    bundle = read_bundle()
    films, ct = (shown_with_cases(bundle, kind) for kind in (Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT))
    assert {"cavity", "pneumothorax"} <= set(films)
    assert not {"pneumonia", "infiltration", "consolidation"} & set(films)  # no phantom shows those, or it is not rare
    assert "mass" in ct


def test_the_phantoms_are_those_of_training() -> None:
    """The same pixels as the training pools hold, and of no seed that is measured on."""
    assert min(DEVELOPMENT_SEEDS, HELD_OUT_SEEDS) > TRAIN_SEEDS + 2560
    for drawn, make in ((next(radiographs(1)), phantom_radiograph), (next(slices(1)), phantom_slice)):
        held = make(TRAIN_SEEDS, drawn.pixels.shape[0])
        assert held.concepts == tuple(region.concept for region in drawn.record.regions)
        assert np.allclose(held.boxes_G4, [region.box.xyxy_px for region in drawn.record.regions])
    _, regions = chest_ct_slice(TRAIN_SEEDS)
    assert next(slices(1)).record.regions == regions
    spacing = next(slices(1)).record.spacing_mm
    assert spacing is not None
    assert 1.0 < spacing[0] == spacing[1] < 2.0  # 256 pixels across a chest


def test_of_each_finding_those_that_differ_most() -> None:
    many = some_cases()
    for seed in range(10, 16):
        many = many.joined(one_case(seed))
    few = chosen(many, 3)
    assert Counter(one.concept for one in few.known) == {"cavity": 3, "nodule": 1}
    assert all(many.find(one.id) == one for one in few.known)
    assert chosen(many.only([]), 3).known == ()
    assert sheet(many).size[0] > 0


def test_versions_are_raised_by_a_patch() -> None:
    assert raised("0.3.0") == "0.3.1"
    assert raised("1.0.19") == "1.0.20"
    for odd in ("0.3", "0.3.0+dark_spot", "x.y.z", "0"):
        with pytest.raises(UsageError, match=r"is not MAJOR\.MINOR\.PATCH"):
            raised(odd)


def test_no_bundle_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_text("x")
    assert main(["--out", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "kept").read_text() == "x"
