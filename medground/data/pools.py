"""Where training images come from: pools of images held in memory, in the model frame."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medground.data.phantom.chest_ct import chest_ct, chest_ct_slice, nodule_ct
from medground.data.phantom.chest_radiograph import RADIOGRAPH_FINDINGS, chest_radiograph
from medground.data.phantom.ct_volume import PhantomVolume
from medground.data.phantom.known import known_of
from medground.data.sample import Held, quantise
from medground.data.strangers import stranger
from medground.dicom.grey import preset_window
from medground.imaging.preprocess import prepare
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region

CT_CONCEPTS = frozenset({"nodule", "mass", "pleural_effusion", "pneumothorax", "consolidation"})
CHEST_CONCEPTS = frozenset(RADIOGRAPH_FINDINGS)
NEVER_DRAWN = frozenset({"fibrosis", "pleural_thickening"})
OPACITIES = frozenset({"consolidation", "atelectasis", "mass"})
OPACITY_NAMES = frozenset({"pneumonia", "infiltration"})
PHANTOM_VERSION = 1  # part of the cache's names: raise it when a change of the phantom changes its pictures
SHARD = 64
VOLUME_SLICES, SLICES_OF_A_VOLUME, SHOWN_OF_A_VOLUME = 96, 8, 6  # made, held, and held of those that show something


def hold(
    pixels: NDArray[np.float32] | Path,
    regions: Sequence[Region],
    *,
    exhaustive_for: Iterable[str],
    domain: Domain,
    real: bool,
    size_px: int,
) -> Held:
    """Brings one image and its regions into the model frame.

    Args:
        pixels: a file, or a displayed frame (rows, columns) of 0..1.
        regions: boxes in stored pixels.
        exhaustive_for: concepts whose every region is there.
        domain: kind of image.
        real: False for a phantom.
        size_px: long side of the frame.

    Raises:
        InputError: if the file cannot be read.
    """
    image = prepare(pixels, size_px)
    boxes = np.array([region.box.xyxy_px for region in regions], dtype=np.float64).reshape(-1, 4)
    inner_HW = image.pixels_HW[: image.letterbox.inner_rows, : image.letterbox.inner_columns]
    return Held(
        quantise(inner_HW.numpy()),
        image.letterbox.to_frame(boxes).astype(np.float32),
        tuple(region.concept for region in regions),
        frozenset(exhaustive_for),
        DOMAINS.index(domain),
        tuple(region.appearance for region in regions),
        real,
    )


def hold_records(records: Sequence[ImageRecord], size_px: int) -> Iterator[Held]:
    """The images of records, in their order.

    Raises:
        ValueError: on a record without a file.
        InputError: on a file that cannot be read.
    """
    for record in records:
        if record.path is None:
            raise ValueError(f"record {record.record_id!r} names no image file; import it with its images")
        yield hold(
            record.path,
            record.regions,
            exhaustive_for=record.exhaustive_for,
            domain=record.domain,
            real=not record.synthetic,
            size_px=size_px,
        )


def phantom_radiograph(seed: int, size_px: int) -> Held:
    """A chest radiograph phantom in the model frame.

    Its truth is exact for every finding it can draw and for those it never draws. Pneumonia and infiltration are what a
    reader may call an opacity, so they are known to be absent only where no opacity was drawn.
    """
    image = chest_radiograph(seed, size_px=size_px)
    exhaustive_for = CHEST_CONCEPTS | NEVER_DRAWN
    if not OPACITIES & {region.concept for region in image.regions}:
        exhaustive_for |= OPACITY_NAMES
    return hold(
        image.pixels,
        image.regions,
        exhaustive_for=exhaustive_for,
        domain=Domain.CHEST_RADIOGRAPH,
        real=False,
        size_px=size_px,
    )


def phantom_slice(seed: int, size_px: int) -> Held:
    """An axial CT slice phantom in the lung window, in the model frame."""
    hu, regions = chest_ct_slice(seed)
    return hold(
        preset_window("lung").apply(hu.astype(np.float64)).astype(np.float32),
        regions,
        exhaustive_for=CT_CONCEPTS,
        domain=Domain.CHEST_CT,
        real=False,
        size_px=size_px,
    )


def volume_slice(seed: int, size_px: int) -> Held:
    """A slice of a CT phantom with those below and above it; seeds that share a volume follow each other.

    Three in four show a finding, as far as the volume has so many; slices on which one is only touched are left out.
    """
    volume = _volume(seed // SLICES_OF_A_VOLUME)
    touched = {number for region in volume.regions3d for number in region.touched}
    inner = [number for number in range(1, len(volume.hu) - 1) if number not in touched]
    shown = [number for number in inner if any(number in region.boxes for region in volume.regions3d)]
    rng = np.random.default_rng([seed // SLICES_OF_A_VOLUME, 71])
    chosen = rng.permutation(shown)[:SHOWN_OF_A_VOLUME]
    others = rng.permutation([number for number in inner if number not in shown])
    number = int(np.concatenate([chosen, others])[seed % SLICES_OF_A_VOLUME])
    regions = [
        Region(
            concept=region.concept,
            box=region.boxes[number],
            source="phantom",
            side=region.side,
            appearance=region.appearance,
        )
        for region in volume.regions3d
        if number in region.boxes
    ]
    window = preset_window("lung")
    frames = [
        prepare(window.apply(volume.hu[at].astype(np.float64)).astype(np.float32), size_px).pixels_HW.numpy()
        for at in (number - 1, number + 1)
    ]
    held = hold(
        window.apply(volume.hu[number].astype(np.float64)).astype(np.float32),
        regions,
        exhaustive_for=CT_CONCEPTS,
        domain=Domain.CHEST_CT,
        real=False,
        size_px=size_px,
    )
    return replace(held, beside_2HW=np.stack([quantise(frame) for frame in frames]))


@lru_cache(maxsize=1)
def _volume(number: int) -> PhantomVolume:
    return nodule_ct(number) if number % 2 else chest_ct(number, slices=VOLUME_SLICES)


def large_film(seed: int, size_px: int) -> Held:
    """A chest radiograph phantom kept at `size_px`, more than the model frame; every second one shows small lesions."""
    rng = np.random.default_rng([seed, 72])
    small = ["nodule"] * int(rng.integers(0, 4)) + ["calcification"] * int(rng.integers(0, 4))
    image = chest_radiograph(seed, size_px=size_px, findings=small if seed % 2 else None)
    return hold(
        image.pixels,
        image.regions,
        exhaustive_for=known_of(image.regions),
        domain=Domain.CHEST_RADIOGRAPH,
        real=False,
        size_px=size_px,
    )


def stranger_image(seed: int, size_px: int) -> Held:
    """A picture that is no radiograph and shows nothing that is asked for."""
    return hold(
        stranger(seed),
        (),
        exhaustive_for=CHEST_CONCEPTS | NEVER_DRAWN | OPACITY_NAMES,
        domain=Domain.OTHER,
        real=False,
        size_px=size_px,
    )


def unlabelled_film(path: Path, size_px: int) -> Held:
    """A chest film of which nothing is known.

    Raises:
        InputError: if the file cannot be read.
    """
    return hold(path, (), exhaustive_for=(), domain=Domain.CHEST_RADIOGRAPH, real=True, size_px=size_px)


def generated(
    make: Callable[[int, int], Held],
    seeds: range,
    size_px: int,
    cache: Path,
    *,
    workers: int,
    note: Callable[[str], None],
) -> list[Held]:
    """Generated images, kept on disk in shards so that an interrupted run goes on where it was.

    Args:
        make: one of the makers of this module.
        seeds: one image for each.
        size_px: long side of the frame.
        cache: folder of the shards; named by maker, phantom version, seeds and size.
        workers: processes.
        note: called with a progress line after each shard.

    Raises:
        UsageError: if a shard cannot be written, e.g. on a full disk; those that were written before are kept.
    """
    with _writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    shards = [seeds[start : start + SHARD] for start in range(0, len(seeds), SHARD)]
    stem = f"{make.__name__}-v{PHANTOM_VERSION}-{size_px}"
    paths = [cache / f"{stem}-{shard.start}-{shard.stop}.npz" for shard in shards]
    missing = [(shard, path) for shard, path in zip(shards, paths, strict=True) if not path.exists()]
    # One thread each: they are as many as there are cores, and threads of before a fork are not there after it.
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = [pool.submit(write_shard, make, shard, size_px, path) for shard, path in missing]
        try:
            for done, job in enumerate(jobs, 1):
                job.result()
                note(f"{make.__name__}: {done} of {len(jobs)} shards")
        except BaseException:  # the others would be waited for, hours that end no better
            pool.shutdown(cancel_futures=True)
            raise
    return [held for path in paths for held in _read_shard(path)]


def write_shard(make: Callable[[int, int], Held], seeds: range, size_px: int, path: Path) -> None:
    """Writes a shard, whole or not at all, whoever else writes it at the same time.

    Raises:
        UsageError: if it cannot be written, e.g. on a full disk.
    """
    items = [make(seed, size_px) for seed in seeds]
    truth = [
        {
            "boxes": held.boxes_G4.tolist(),
            "concepts": held.concepts,
            "exhaustive_for": sorted(held.exhaustive_for),
            "domain": held.domain,
            "appearance": held.appearance,
        }
        for held in items
    ]
    arrays: dict[str, Any] = {f"image{index}": held.pixels_HW for index, held in enumerate(items)}
    arrays |= {f"beside{index}": held.beside_2HW for index, held in enumerate(items) if held.beside_2HW is not None}
    arrays["truth"] = np.frombuffer(json.dumps(truth).encode(), dtype=np.uint8)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    with (
        _writing(path),
        tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".partial", delete=False) as file,
    ):
        partial = Path(file.name)
        try:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Tells of what a block could not write in one sentence."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); make room, or name another folder") from error


def _read_shard(path: Path) -> Iterator[Held]:
    with np.load(path, allow_pickle=False) as shard:
        for index, truth in enumerate(json.loads(shard["truth"].tobytes())):
            yield Held(
                shard[f"image{index}"],
                np.array(truth["boxes"], dtype=np.float32).reshape(-1, 4),
                tuple(truth["concepts"]),
                frozenset(truth["exhaustive_for"]),
                truth["domain"],
                tuple(tuple(words) for words in truth["appearance"]),
                False,
                shard.get(f"beside{index}"),
            )
