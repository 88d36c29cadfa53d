"""AP by who drew the truth: the sources of one data set draw by rules of their own."""

from __future__ import annotations

from medground.evaluation.bootstrap import bootstrap_by_patient
from medground.evaluation.detection import average_precision_statistic
from medground.evaluation.scene import Scene, SceneImage


def sources_of(scene: Scene) -> list[str]:
    """The sources of the truths of a scene, by name; empty for scenes from before they were kept."""
    return sorted({source for image in scene.images for source in image.drawn_by})


def of_source(scene: Scene, source: str) -> Scene:
    """The scene as if a source alone had drawn the truth.

    An image on which others drew a finding is left out for that finding: a box there is neither right nor wrong by this
    source.
    """
    return scene.model_copy(update={"images": tuple(_seen_by(image, source) for image in scene.images)})


def _seen_by(image: SceneImage, source: str) -> SceneImage:
    drawn = list(zip(image.truths, image.drawn_by, strict=True))
    others = {truth[0] for truth, by in drawn if by != source}
    own = [(truth, by) for truth, by in drawn if by == source and truth[0] not in others]
    return image.model_copy(
        update={
            "truths": tuple(truth for truth, _ in own),
            "drawn_by": tuple(by for _, by in own),
            "exhaustive_for": tuple(concept for concept in image.exhaustive_for if concept not in others),
        }
    )


def by_source_table(scene: Scene, *, resamples: int = 1000, seed: int = 0) -> str:
    """AP@0.5 of each finding by source as Markdown, with intervals and numbers of boxes; empty with one source."""
    sources = sources_of(scene)
    if len(sources) < 2:
        return ""
    seen = {source: of_source(scene, source).truth() for source in sources}
    lines = [
        "AP@0.5 by who drew the boxes; a film on which another source drew the finding is left out.",
        "",
        "| finding | " + " | ".join(f"{source} | boxes" for source in sources) + " |",
        "|---|" + "---|--:|" * len(sources),
    ]
    for concept in scene.rarest_first():
        boxes = scene.detections(concept)
        cells = []
        for images in seen.values():
            statistic = average_precision_statistic(images, boxes, concept)
            at = bootstrap_by_patient(statistic, images, [concept], n=resamples, seed=seed)
            cells.append("- | 0" if at is None else f"{at.value:.3f} [{at.low:.3f}, {at.high:.3f}] | {at.n_boxes}")
        lines.append(f"| {concept} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
