from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from medground.data.importers import by_name

WriteJpeg = Callable[..., None]


def test_records_and_dirt(tmp_path: Path, write_jpeg: WriteJpeg) -> None:
    names = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis", "Gadget")
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    folder = tmp_path / "annotations" / "json"
    folder.mkdir(parents=True)
    for part, images in {"train": ("tb/tb0003", "health/h0001", "tb/tb0005"), "val": ("tb/tb0004",)}.items():
        entries = [{"id": n, "file_name": f"{name}.png", "width": 512, "height": 512} for n, name in enumerate(images)]
        marks = [{"image_id": 0, "category_id": c, "bbox": [10 * c, 20, 30, 40]} for c in range(1, 5)]
        marks += [{"image_id": 2, "category_id": 1, "bbox": [10, 20, 0, 40]}] if part == "train" else []
        content = {"images": entries, "annotations": marks, "categories": categories}
        (folder / f"TBX11K_{part}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "TBX11K_trainval.json").write_text("not read", encoding="utf-8")
    for name in ("tb/tb0003", "health/h0001", "tb/tb0005"):
        write_jpeg(tmp_path / "imgs" / f"{name}.png", 512, 512)
    imported = by_name("tbx11k")(tmp_path)
    records = {record.record_id: record for record in imported.records}
    assert [(r.concept, r.uncertain) for r in records["tb0003"].regions] == [
        ("active_tuberculosis", False),
        ("healed_tuberculosis", False),
        ("tuberculosis", True),
    ]
    normal = records["h0001"]
    assert (normal.part, normal.attributes, normal.regions) == ("train", {"group": "health"}, ())
    assert normal.exhaustive_for == {"active_tuberculosis", "healed_tuberculosis", "tuberculosis"}
    lost = records["tb0005"]
    assert (lost.regions, lost.exhaustive_for) == ((), {"healed_tuberculosis"})  # active is a kind of tuberculosis
    assert Counter((issue.record_id, issue.kind) for issue in imported.issues) == {
        ("tb0003", "unknown_class"): 1,
        ("tb0005", "degenerate_box"): 1,
        ("tb0004", "missing_image"): 1,
        ("tb0004", "box_without_image"): 1,
    }
    assert imported.published.boxes == imported.kept + imported.lost == 9
