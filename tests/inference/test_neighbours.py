"""Slices of a volume reach the reader with the slices beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.schema.anatomy import Domain
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import drawn, write_ct_slice, write_png


@dataclass
class Neighbourly(BlobReader):
    """Keeps the mean of each slice and of those beside it."""

    seen: list[tuple[float | None, ...]] = field(default_factory=list)

    def read(self, images, phrases, **limits):  # type: ignore[no-untyped-def]  # as BlobReader
        for image in images:
            below, above = image.beside if image.beside else (None, None)
            parts = (below, image.pixels_HW, above)
            self.seen.append(tuple(None if part is None else round(float(part.mean()), 4) for part in parts))
        return super().read(images, phrases, **limits)


def test_slices_are_read_with_those_three_millimetres_below_and_above(tmp_path: Path) -> None:
    places = [0.0, 1, 2, 3, 4, 5, 6, 20, 23, 26, 29, 32]  # thin slices, a gap, thick ones
    for number, z in enumerate(places):
        pixels = drawn([(100, 100, 120 + 12 * number, 300)])
        write_ct_slice(tmp_path / f"{number}.dcm", pixels, z_mm=z, instance=number + 1)
    reader = Neighbourly(domain=Domain.CHEST_CT)
    ground(gather([tmp_path]), Request(("nodule",)), reader)
    assert len(reader.seen) == len(places)
    own = [middle for _, middle, _ in reader.seen]
    assert len(set(own)) == len(places)

    def at(z: float) -> float | None:
        return own[places.index(z)] if z in places else None

    for z, (below, middle, above) in zip(places, reader.seen, strict=True):
        wanted = {0.0: (None, 3.0), 6.0: (3.0, None), 20.0: (None, 23.0), 4.0: (1.0, 6.0), 32.0: (29.0, None)}
        if z in wanted:
            first, last = wanted[z]
            assert below == (middle if first is None else at(first))
            assert above == (middle if last is None else at(last))
    alone = Neighbourly()
    write_png(tmp_path / "film.png", drawn())
    ground(gather([tmp_path / "film.png"]), Request(("nodule",)), alone)
    assert [(below, above) for below, _, above in alone.seen] == [(None, None)]
