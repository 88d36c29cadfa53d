from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.phantom_sheet import film_statistics, main, realism_table


def test_statistics_of_films_with_known_answers() -> None:
    flat = film_statistics(np.full((512, 512), 0.25, np.float32) + 1e-4 * np.eye(512, dtype=np.float32))
    assert flat["mean"] == pytest.approx(0.25, abs=1e-3)
    assert flat["noise: MAD of Laplacian"] == 0
    ramp = film_statistics(np.tile(np.linspace(0, 1, 512, dtype=np.float32), (512, 1)))
    assert ramp["percentile 75"] == pytest.approx(0.75, abs=0.01)
    assert ramp["edges: mean gradient, sigma 4 px"] == pytest.approx(1 / 511, rel=0.02)


def test_spectrum_slope_is_recovered() -> None:
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None, :])
    frequency[0, 0] = 1
    white = np.fft.rfft2(rng.standard_normal((512, 512)))
    film = np.fft.irfft2(white / frequency**1.5).astype(np.float32)
    assert film_statistics(film)["edges: spectrum slope"] == pytest.approx(-3, abs=0.15)


def test_table_measures_distance_in_spreads_of_the_real_films() -> None:
    rng = np.random.default_rng(1)
    films = [(rng.random((512, 512), dtype=np.float32) * 0.2 + 0.1 * k) for k in range(1, 4)]
    page = realism_table(films, films)
    assert "11 of 11 statistics" in page
    assert "| mean | 0.3 ± 0.082 | 0.3 ± 0.082 | +0.0 |" in page
    assert "No real films" in realism_table(films, [])


def test_command_writes_sheet_and_table(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--films", "12", "--real", str(tmp_path / "absent")]) == 0
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert sheet.size == (1440, 1080)
    assert (tmp_path / "contact_sheet.png").stat().st_size < 1_200_000
    assert "No real films" in (tmp_path / "realism.md").read_text(encoding="utf-8")
