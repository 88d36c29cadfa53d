from __future__ import annotations

import io
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from medground.evaluation.detection import average_precision
from medground.evaluation.scene import ENDING, save_scene
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL
from pipelines.scenes import figures_of, log_scene
from tests.evaluation.made_scene import BOXES, made


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

    def __init__(self):
        self.artifacts, self.names = {}, []

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
