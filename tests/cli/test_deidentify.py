from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medground.cli.deidentify import DeidentifyOptions, run_deidentify
from medground.cli.exit_code import exit_code_of
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """One film that says it shows text."""
    return write_radiograph_study(chest_radiograph(3, size_px=64, findings=[]), tmp_path / "in")[0]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    def call(source: Path, out: str = "out", **options: object) -> int:
        return exit_code_of(lambda: run_deidentify(DeidentifyOptions(source, tmp_path / out, **options)))  # type: ignore[arg-type]

    return call


def test_a_film_is_written_and_the_table_printed(
    film: Path, run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(film.parent, allow_burned_in=True) == 0
    shown = capsys.readouterr()
    assert "1 files written, 0 refused, 0 skipped" in shown.out
    assert "none left" in shown.out
    assert "PHANTOM" not in shown.out + shown.err
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_nothing_written_is_2_and_some_refused_is_4(
    film: Path, run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(film.parent) == 2
    assert "BurnedInAnnotation YES" in capsys.readouterr().err
    content = film.read_bytes().replace(b"CS\x04\x00YES ", b"CS\x04\x00NO  ")
    (film.parent / "a.dcm").write_bytes(content)
    assert run(film.parent) == 4
    assert "refused: file 2:" in capsys.readouterr().err


def test_a_key_file_gives_the_same_output_again_and_no_key_another(
    film: Path, run: Callable[..., int], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    for out in ("one", "two"):
        assert run(film, out, allow_burned_in=True, key_file=key) == 0
    assert run(film, "three", allow_burned_in=True) == 0
    names = [sorted(path.relative_to(tmp_path / out) for path in (tmp_path / out).rglob("*.dcm")) for out in
             ("one", "two", "three")]  # fmt: skip
    assert names[0] == names[1] != names[2]
    assert (tmp_path / "one" / names[0][0]).read_bytes() == (tmp_path / "two" / names[0][0]).read_bytes()
    assert [path for path in (tmp_path / "one").rglob("*") if "key" in path.name] == []


@pytest.mark.parametrize("options", [{"profile": "none"}, {"key_file": "out/key"}])
def test_usage(film: Path, run: Callable[..., int], tmp_path: Path, options: dict[str, str]) -> None:
    given: dict[str, object] = dict(options)
    if "key_file" in given:
        given["key_file"] = tmp_path / str(given["key_file"])
    assert run(film, **given) == 2
    assert not (tmp_path / "out").exists()


def test_warnings_of_libraries_do_not_quote_the_patient(
    film: Path, run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    content = film.read_bytes()
    film.write_bytes(content.replace(b"CS\x06\x00CHEST ", b"CS\x06\x00@SeCr "))
    assert b"@SeCr" in film.read_bytes()
    assert run(film, allow_burned_in=True) == 0
    shown = capfd.readouterr()
    assert "@SeCr" not in shown.out + shown.err
