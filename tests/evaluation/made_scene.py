"""A scene of thirty films, most of whose lesions are found."""

from __future__ import annotations

from medground.evaluation.scene import Scene, SceneImage

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
