from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from medground.evaluation.detection import average_precision
from medground.evaluation.scene import ENDING, save_scene
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL
from medground.schema.errors import UsageError
from medground.tracking.runs import open_run
from medground.tracking.store import open_store
from pipelines.scenes import figures_of, is_logged, log_scene, waits_for_its_run
from tests.evaluation.made_scene import BOXES, made
from tests.full_disk import no_file_longer_than


def test_rarity_is_decided_by_real_boxes():
    scene = made(real_boxes={"nodule": 49, "cavity": 50})
    assert scene.rarest_first() == ["nodule", "cavity"]
    assert scene.rare() == ["nodule"]
    names = {figure.name for figure in figures_of(scene, resamples=20)}
    assert {"ap50/rare/nodule", "ap50/rare/mean"} == {name for name in names if name.startswith("ap50/rare/")}


def test_figures_have_the_fixed_names_an_interval_and_n():
    scene = made()
    found = {figure.name: figure for figure in figures_of(scene, resamples=100)}
    assert set(found) == {
        *(f"{family}/{c}" for family in ("ap50", "ap", "froc") for c in BOXES),
        *("ap50/mean", "ap/mean", "froc/mean", "ap50/small", "ap50/medium", "ap50/large"),
        *("ap50/rare/cavity", "ap50/rare/mean", "false_on_normal/cavity"),  # every film has a nodule
    }
    assert all(f.low is not None and f.low <= f.value <= f.high and f.n > 0 for f in found.values())
    images = scene.truth()
    assert found["ap50/rare/cavity"].value == average_precision(images, scene.detections("cavity"), "cavity")
    assert found["ap50/nodule"].n == 30


def test_the_figures_of_a_size_are_means_over_the_concepts_and_count_its_boxes():
    scene = made()
    found = {figure.name: figure for figure in figures_of(scene, resamples=100)}
    for size in (SMALL, MEDIUM, LARGE):
        figure = found[f"ap50/{size.name}"]
        each = [average_precision(scene.truth(), scene.detections(c), c, size=size) for c in BOXES]
        assert figure.value == pytest.approx(sum(each) / 2, abs=1e-12)
        assert figure.n == 15  # ten nodules and five cavities
        assert 0.3 < figure.value < 1
    # A concept without truth of the size is not in the mean.
    few = tuple(
        i.model_copy(
            update={"truths": tuple(t for t in i.truths if t[0] == "nodule" or t[1][2] > 100 * i.columns / 640)}
        )
        for i in scene.images
    )
    without = scene.model_copy(update={"images": few})
    small = next(f for f in figures_of(without, resamples=20) if f.name == "ap50/small")
    assert (small.value, small.n) == (
        average_precision(without.truth(), without.detections("nodule"), "nodule", size=SMALL),
        10,
    )


def test_a_size_that_no_truth_has_gives_no_figure_and_no_truth_gives_none():
    scene = made()
    only_small = tuple(i for n, i in enumerate(scene.images) if n % 3 == 0)
    names = {f.name for f in figures_of(scene.model_copy(update={"images": only_small}), resamples=20)}
    assert names & {"ap50/small", "ap50/medium", "ap50/large"} == {"ap50/small"}
    empty = scene.model_copy(update={"images": tuple(i.model_copy(update={"truths": ()}) for i in scene.images)})
    assert not [f for f in figures_of(empty, resamples=10) if f.name.startswith(("ap", "froc"))]


class Kept:
    """Stands in for a run: keeps what it is given."""

    run_id, is_whole = "kept", True

    def __init__(self):
        self.artifacts, self.names, self.notes = {}, [], {}

    def note(self, name, value):
        self.notes[name] = value

    @contextmanager
    def child(self, name, *, kind):
        self.names.append((name, kind))
        yield self

    def parameters(self, values):
        self.values = values

    def figures(self, figures):
        self.measured = {figure.name for figure in figures}

    def artifact(self, path, folder=None):
        self.artifacts[f"{folder}/{path.name}" if folder else path.name] = path.read_bytes()


def test_figures_file_curves_and_worst_cases_are_kept_with_the_run(tmp_path):
    file, asked, shown, plain = tmp_path / f"chest{ENDING}", [], Kept(), Kept()
    save_scene(made(), file)

    def pixels(image_id):
        asked.append(image_id)
        return np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)

    log_scene(shown, "made", file, pixels=pixels)
    log_scene(plain, "made", file)
    expected = {file.name, "plots/precision_recall.png", "plots/froc.png", "worst_cases.png"}
    assert set(shown.artifacts) == set(plain.artifacts) == expected
    assert shown.names == [("evaluation made", "evaluation")]
    assert {"ap50/small", "ap50/medium", "ap50/large"} <= shown.measured
    assert 0 < len(asked) <= 24
    sheets = [Image.open(io.BytesIO(kept.artifacts["worst_cases.png"])) for kept in (shown, plain)]
    assert sheets[0].size == sheets[1].size
    assert sheets[0].tobytes() != sheets[1].tobytes()
    # Nothing asked, nothing false and nothing to miss: no sheet.
    healthy = made()
    none = tuple(i.model_copy(update={"truths": (), "detections": ()}) for i in healthy.images)
    save_scene(healthy.model_copy(update={"images": none}), file)
    quiet = Kept()
    log_scene(quiet, "made", file, pixels=pixels)
    assert "worst_cases.png" not in quiet.artifacts


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where this test's passing files lie."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # the place is looked for anew
    return folder


def test_pictures_that_do_not_fit_on_the_disk_are_an_error_and_nothing_of_them_stays(tmp_path, scratch):
    file, kept = tmp_path / f"chest{ENDING}", Kept()
    save_scene(made(), file)
    log_scene(kept, "made", file)
    assert [name.split()[0] for name in kept.notes] == ["logged"]
    sizes = {name: len(content) for name, content in kept.artifacts.items()}
    first, second = sorted(("plots/precision_recall.png", "plots/froc.png"), key=sizes.__getitem__)
    for limit, fits in ((10, set()), (sizes[second] - 1, {first} & {"plots/precision_recall.png"})):
        again = Kept()
        with no_file_longer_than(limit), pytest.raises(UsageError, match=r"\.png cannot be written \(File too large\)"):
            log_scene(again, "made", file)
        assert set(again.artifacts) == {file.name} | fits
        assert again.notes == {}
        assert list(scratch.iterdir()) == []


def test_without_a_place_for_pictures_there_is_a_clear_error(tmp_path, scratch, monkeypatch):
    file, kept = tmp_path / f"chest{ENDING}", Kept()
    save_scene(made(), file)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    scratch.rmdir()
    with pytest.raises(UsageError, match=r"scratch cannot be written \(No such file or directory\)"):
        log_scene(kept, "made", file)
    assert kept.notes == {}


@pytest.mark.slow
def test_a_scene_is_logged_once_all_of_it_is_in_the_run_that_the_notes_know(tmp_path):
    homes, notes, file = [tmp_path / "one", tmp_path / "two"], tmp_path / "runs.json", tmp_path / f"chest{ENDING}"
    said: list[str] = []
    few = made().model_copy(update={"images": made().images[:6]})
    save_scene(few, file)
    open_store(homes[0], "exp")
    shutil.copytree(homes[0], homes[1])

    def log(home, spoil=lambda: None):
        with open_run(home, "exp", "first", notes=notes, say=said.append) as run:
            spoil()
            log_scene(run, "chest", file)

    with no_file_longer_than(100_000):  # the pictures fit, the store does not grow
        log(homes[0])
    assert (len(said), is_logged(file, notes)) == (1, False)
    log(homes[0])
    assert (len(said), is_logged(file, notes)) == (1, True)
    client, experiment = open_store(homes[0], "exp")
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "first": "FINISHED",
        "evaluation chest": "FINISHED",
    }
    with open_run(homes[1], "exp", "first", notes=notes, say=said.append):
        assert not is_logged(file, notes)  # the run that has it is lost
    assert "going on in a new run" in said.pop()
    log(homes[1], (homes[1] / "mlflow.db").unlink)
    assert (len(said), is_logged(file, notes)) == (2, False)
    shutil.copytree(homes[0], tmp_path / "three")
    log(tmp_path / "three")
    assert is_logged(file, notes)
    save_scene(few.model_copy(update={"real_boxes": {"nodule": 49, "cavity": 50}}), file)
    assert not is_logged(file, notes)
    file.unlink()
    assert not is_logged(file, notes)


def test_a_scene_waits_for_its_run_if_it_is_just_what_would_be_measured(tmp_path):
    file, notes = tmp_path / f"chest{ENDING}", tmp_path / "runs.json"
    scene = made()
    asked = {"system": scene.system, "data": scene.data, "images": [image.image_id for image in scene.images]}
    assert not waits_for_its_run(file, notes, **asked)
    save_scene(scene, file)
    assert waits_for_its_run(file, notes, **asked)
    others = {"system": "another bundle", "data": "other films", "images": asked["images"][:-1], "look": "all"}
    for name, value in {**others, "answered": True}.items():
        assert not waits_for_its_run(file, notes, **{**asked, name: value}), name
    kept = Kept()
    log_scene(kept, "chest", file)
    notes.write_text(str({"run": "kept", **kept.notes}).replace("'", '"'))
    assert not waits_for_its_run(file, notes, **asked)
    notes.unlink()
    file.write_bytes(file.read_bytes()[:-9])
    assert not waits_for_its_run(file, notes, **asked)
