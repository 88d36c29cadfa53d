"""What a campaign found: a table for each data set, its columns the arms, or one arm read in several ways, or peers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medground.evaluation.report import to_markdown
from medground.evaluation.scene import ENDING, Scene, load_scene, report_of
from medground.schema.errors import UsageError
from medground.tracking import figures
from pipelines.arms import Arm, Look
from pipelines.by_source import by_source_table
from pipelines.compare import Row, compare
from pipelines.measure import WITH_A_BOX

SHOWN = (
    "ap50/",
    f"ap/{figures.MEAN}",
    f"froc/{figures.MEAN}",
    "false_on_normal/",
    figures.ABSENT_ERROR,
    figures.ece(figures.ALL),
    figures.auroc(figures.ALL),
)


FOLD = " fold"  # in the name of a data set, before its number


@dataclass(frozen=True, slots=True)
class Column:
    """A scene under the name of what was read, and how."""

    name: str
    recipe: str
    scene: Scene


def pooled(scenes: Sequence[Scene]) -> Scene:
    """Folds as one data set; their images are different ones, and each was read by the model that never saw it."""
    first = scenes[0]
    boxes = {c: round(sum(s.training_boxes.get(c, 0) for s in scenes) / len(scenes)) for c in first.training_boxes}
    return first.model_copy(
        update={
            "system": f"{len(scenes)} models, first {first.system}",
            "data": f"{first.data.split(FOLD)[0]}, {len(scenes)} folds",
            "training_boxes": boxes,
            "real_boxes": None,
            "images": tuple(image for scene in scenes for image in scene.images),
        }
    )


def table(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Means, AP@0.5 by size and finding, false boxes and answers as Markdown; intervals, differences to the first."""
    lines = ["| figure | n | " + " | ".join(names) + " |", "|---|--:|" + "---|" * len(names)]
    for row in rows:
        if not row.name.startswith(SHOWN):
            continue
        cells = []
        for number, value in enumerate(row.values):
            cell = "-" if value is None else f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
            change = row.differences[number - 1] if number else None
            cells.append(
                cell if change is None else f"{cell} ({change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}])"
            )
        lines.append(f"| {row.name} | {row.n} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def report(name: str, arms: Sequence[Arm], out: Path, peers: Sequence[Path] = ()) -> str:
    """The campaign's tables: for each data set the arms beside each other, or folds taken together.

    Args:
        name: of the campaign.
        arms: measured.
        out: the campaign's folder.
        peers: folders of `benchmarks.peers`; what was measured on images of a table becomes its last columns.

    Raises:
        UsageError: if a peer holds no scene or no plan, or if none of its scenes is of the images of a table.
    """
    tables, others = _by_data(arms, out), peer_columns(peers)
    known = [_image_ids(columns[0].scene) for columns in tables]
    placed = {other.name for other in others if _image_ids(other.scene) in known}
    for other in others:
        if other.name not in placed:  # one that was measured on the development part too is placed by the other part
            raise UsageError(
                f"{other.name} was measured on other images ({other.scene.data}) than any arm of {name}; "
                "give the folder of every fold, and of this data set alone"
            )
    return "\n".join([f"# {name}\n", *(_section(columns, others) for columns in tables)])


def peer_columns(folders: Sequence[Path]) -> list[Column]:
    """What peers found, folds of one peer taken together.

    Raises:
        UsageError: if a folder holds no scene or no plan, or if two hold the same images.
    """
    scenes: dict[tuple[str, str, str], list[Scene]] = {}
    for folder in folders:
        files = sorted(folder.glob(f"*{ENDING}"))
        try:
            peer = str(json.loads((folder / "plan.json").read_text(encoding="utf-8"))["peer"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{folder} holds no plan.json of python -m benchmarks.peers") from error
        if not files:
            raise UsageError(f"{folder} holds no scene (*{ENDING}); let python -m benchmarks.peers end first")
        for file in files:
            scene = load_scene(file)
            scenes.setdefault((peer, scene.data.split(FOLD)[0], file.name), []).append(scene)
    columns = []
    for (peer, *_), own in scenes.items():
        together = own[0] if len(own) == 1 else pooled(own)
        if len(_image_ids(together)) < len(together.images):
            raise UsageError(f"two folders of {peer} hold the same images of {own[0].data}; give one")
        columns.append(Column(peer, peer, together))
    return columns


def _by_data(arms: Sequence[Arm], out: Path) -> list[list[Column]]:
    """The columns of each table: what was measured on the same images stands beside each other."""
    looks: dict[tuple[str, str], list[tuple[Arm, Look]]] = {}
    for arm in arms:
        for look in arm.looks:
            looks.setdefault((look.name, look.part), []).append((arm, look))
    tables = []
    for own in looks.values():
        scenes = [load_scene(arm.scene_file(look, out)) for arm, look in own]
        if len({arm.fold for arm, _ in own}) > 1:
            scenes, own = [pooled(scenes)], own[:1]
        tables.append([Column(_title(a, look), a.recipe, s) for (a, look), s in zip(own, scenes, strict=True)])
    return tables


def _title(arm: Arm, look: Look) -> str:
    return arm.recipe if look.share is None else f"{arm.recipe}, share {look.share:g}"


def _section(columns: Sequence[Column], peers: Sequence[Column]) -> str:
    """A table, the same within each later arm that has several columns, and what the scenes tell besides."""
    others = [peer for peer in peers if _image_ids(peer.scene) == _image_ids(columns[0].scene)]
    parts = [_compared([*columns, *others])]
    for recipe in list(dict.fromkeys(column.recipe for column in columns))[1:]:
        own = [column for column in columns if column.recipe == recipe]
        parts += [_compared(own, f"within {recipe}")] if len(own) > 1 else []
    if len(columns) == 1:
        (alone,) = columns
        parts.append(to_markdown(report_of(alone.scene)))
        marked = with_a_box(alone.scene)
        if len(marked.images) < len(alone.scene.images):
            parts.append(_compared([replace(each, scene=with_a_box(each.scene)) for each in (alone, *others)]))
    for column in (*columns, *others):
        if by_source := by_source_table(column.scene):
            parts.append(f"### {column.name}, by source\n\n{by_source}")
    return "\n".join(parts)


def _image_ids(scene: Scene) -> set[str]:
    return {image.image_id for image in scene.images}


def with_a_box(scene: Scene) -> Scene:
    """The scene without the images that show none of what is measured."""
    marked = tuple(i for i in scene.images if any(concept in scene.training_boxes for concept, _ in i.truths))
    return scene.model_copy(update={"images": marked, "data": f"{scene.data}{WITH_A_BOX}"})


def _compared(columns: Sequence[Column], which: str = "") -> str:
    """The table of columns under a heading that says what they were measured on."""
    first = columns[0].scene
    patients = len({image.patient_id for image in first.images})
    head = f"## {first.data}{', ' if which else ''}{which}\n\n{len(first.images)} images of {patients} patients; 95% "
    head += "intervals over 1000 resamples of patients"
    head += "; differences to the first column, paired.\n\n" if len(columns) > 1 else ".\n\n"
    return head + table([column.name for column in columns], compare([column.scene for column in columns]))
