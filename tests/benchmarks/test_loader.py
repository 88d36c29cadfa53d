"""The benchmark on a few tiny films: every loader is timed over the same files, and memory in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.loader import PLAIN, PlainImages, film_records, main
from medground.data.transforms.frames import Framed


def test_every_loader_and_size_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    arguments = ["--images", "8", "--size", "128", "--workers", "0", "1", "--repeat", "2", "--records", "60"]
    assert main([*arguments, "--out", str(out)]) == 0
    figures = json.loads(out.read_text())
    rates = {(rate["loader"], rate["workers"]): rate for rate in figures["rates"]}
    assert len(rates) == 8
    for (loader, workers), rate in rates.items():
        plain = rates[(PLAIN, workers)]["images_per_second"]
        ratios = sorted(own / other for own, other in zip(rate["images_per_second"], plain, strict=True))
        assert rate["ratio"] == pytest.approx([sum(ratios) / 2, *ratios])
        assert loader != PLAIN or rate["ratio"] == [1, 1, 1]
    assert [size["records"] for size in figures["memory"]] == [60]
    assert all(0 <= size["listed_mb"] <= size["loader_mb"] + 1 for size in figures["memory"])
    assert "60 records" in capsys.readouterr().out


def test_the_plain_loop_reads_the_same_pictures(tmp_path: Path) -> None:
    records = film_records(tmp_path, 4, 128)
    paths = [record.path for record in records if record.path]
    assert [path.suffix for path in paths] == [".png", ".dcm", ".png", ".dcm"]
    for record, plain in zip(records, PlainImages(paths), strict=False):
        ours = torch.from_numpy(Framed(512)(record).pixels_HW).float()
        assert plain.shape == (1, 512, 512)
        together = torch.stack([ours.flatten(), plain.flatten()])
        assert torch.corrcoef(together)[0, 1] > 0.98  # another brightness scale, the same film
