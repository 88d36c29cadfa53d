from __future__ import annotations

import json
from pathlib import Path

import pytest

from medground.dicom.deidentify.options import Options
from pipelines.canary_places import PLACES, salted_file
from pipelines.canary_studies import PLACES_IN_BYTES, write_studies
from pipelines.deidentify_canaries import check, main, run


def test_twenty_studies_keep_their_images_and_lose_every_canary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--studies", "20"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["places"] == len(PLACES) + len(PLACES_IN_BYTES) >= 40
    assert figures["canaries searched"] == 2 * 20 * figures["places"]
    assert figures["canaries that the search cannot find in the input"] == 0
    assert (figures["canaries left"], figures["images changed"], figures["refused"]) == (0, 0, 0)
    assert figures["frames compared"] == 2 * (7 + 4 * 13)


def test_a_canary_that_is_left_and_an_image_that_changed_are_seen(tmp_path: Path) -> None:
    run(2, 5, tmp_path)
    studies = write_studies(2, 5, tmp_path / "again")
    key, out = (5).to_bytes(32, "big"), tmp_path / "removed"
    assert check(studies, out, key, Options()).left == []
    path = next(path for path in sorted(out.rglob("*.dcm")) if b"SR" not in path.read_bytes()[:2000])
    behind = studies[0].canaries["station name"]
    path.write_bytes(salted_file(path.read_bytes(), behind, implicit=False, little=True))
    assert check(studies, out, key, Options()).left != []
    content = bytearray(path.read_bytes())
    content[-400] ^= 0xFF
    path.write_bytes(bytes(content))
    assert check(studies, out, key, Options()).changed != []
