from __future__ import annotations

import io
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from medground.evaluation.detection import average_precision
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL
from medground.schema.errors import UsageError
from pipelines.scenes import ENDING, Scene, SceneImage, figures_of, load_scene, log_scene, report_of, save_scene

SIDES = (20, 60, 150)  # small, medium and large in an image of 640 px
BOXES = {"nodule": 300, "cavity": 12}


def made(**more) -> Scene:
    """Each film has one nodule, each second a cavity; of each size most are found, and false boxes come between."""
    images = []
    for number in range(30):
        scale = 1 + number % 4  # the same picture stored larger

        def square(x: float, side: float, scale: int = scale) -> tuple[float, float, float, float]:
            return x * scale, 0.0, (x + side) * scale, side * scale

        side = SIDES[number % 3]
        concepts = ("nodule", "cavity") if number % 2 else ("nodule",)
        found = [(c, square(2, side), 0.9 - number / 100) for c in concepts if number % 5]
        false = [("nodule", square(300, SIDES[(number + k) % 3]), 0.8 - (7 * number + k) / 300) for k in range(2)]
        images.append(
            SceneImage(
                image_id=f"{number:02d}",
                patient_id=f"p{number // 2}",
                exhaustive_for=tuple(BOXES) if number % 4 else (),
                truths=tuple((c, square(0, side)) for c in concepts),
                detections=tuple(found + false),
                columns=640 * scale,
                rows=480 * scale,
            )
        )
    return Scene(system="s", data="made films", training_boxes=BOXES, images=tuple(images), **more)


def test_a_scene_survives_its_file_and_gives_the_report_it_came_from(tmp_path):
    first = made(real_boxes={"nodule": 20, "cavity": 0})
    path = tmp_path / f"chest{ENDING}"
    save_scene(first, path)
    again = load_scene(path)
    assert again == first
    assert report_of(again, resamples=20) == report_of(first, resamples=20)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="is no readable scene"):
        load_scene(path)


def test_a_file_from_before_real_boxes_and_image_sizes_is_read():
    told = made().model_dump(mode="json")
    del told["real_boxes"]
    for image in told["images"]:
        del image["columns"], image["rows"]
    old = Scene.model_validate(told)
    assert old.rarity() == BOXES
    assert old.rare() == ["cavity"]
    assert {image.columns_rows_px for image in old.truth()} == {None}


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
        *("ap50/rare/cavity", "ap50/rare/mean"),
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


@pytest.mark.parametrize("real", [{"nodule": 1}, {"nodule": 1, "cavity": 2, "mass": 3}])
def test_real_boxes_of_other_concepts_are_refused(real):
    with pytest.raises(ValidationError, match="only one of them has"):
        made(real_boxes=real)


@pytest.mark.parametrize("size", [{"columns": None}, {"rows": None}, {"columns": 0}])
def test_half_an_image_size_is_refused(size):
    with pytest.raises(ValidationError, match=r"columns"):
        SceneImage.model_validate(made().images[0].model_dump() | size)


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
