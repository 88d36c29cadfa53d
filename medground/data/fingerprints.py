"""Fingerprints of images, to find copies of one film that a file hash does not see.

Copies differ by JPEG quality, scale, window and brightness, are sometimes shifted or cropped, and sometimes were cut
short in copying and then saved again with a grey lower part. Different limbs in the same position must not match: it is
the fine structure that tells them apart, so large shapes and absolute contrast are taken out before anything is
compared. Pairs that are alike but not alike enough get a closer look: one with its margins cut as a crop would, and in
the other's tones as a window would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medground.schema.record import ImageRecord

SAME_FILM = 0.80
"""Correlation from which two images count as one film. Pairs of FracAtlas, looked at as pictures: re-saved copies
reach 0.96, repeated exposures of one limb 0.81 to 0.92, the best pair of different limbs 0.72."""
SAME_TOP = 0.90
"""Correlation from which upper halves alone are believed: half a limb has less to be told by (different ones to 0.77),
and what is left of a file cut short is a true copy (0.99)."""
SAME_CLOSER = 0.85
"""Correlation from which a closer look is believed: it picks the best of several comparisons, so more is asked of it.
Pairs of FracAtlas: copies cropped by 2% on each side reach 0.90, different limbs 0.72; in between, from 0.77, lie
exposures of one limb in another position."""

_FINE, _COARSE, _THUMBNAIL = 64, 32, 128
_SIGMA = 2.0
_FLOOR = 4.0  # grey levels squared; keeps noise in an empty background from being blown up to full contrast
_COARSE_MATCH = 0.55
_COARSE_SHIFT, _FINE_SHIFT = 6, 12
_TOP_ENERGY = 0.2
_ALIKE = 0.45  # correlation from which a pair gets a closer look: a copy cropped by 2% on each side reaches 0.5
_MARGINS = (0.01, 0.02, 0.03, 0.04)  # of each side; a hundredth more or less is not seen on the fine grid

Plane = NDArray[np.float32]
AnyPlane = Plane | NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Local structure of an image at two sizes, zero mean and unit norm each.

    Attributes:
        coarse: 32x32, to find candidates among all pairs.
        fine: 64x64, to decide.
        thumbnail: 128x128 grey levels, for a closer look.
    """

    coarse: Plane
    fine: Plane
    thumbnail: NDArray[np.uint8]

    def grey(self, margin: float = 0.0) -> Plane:
        """The picture at 64x64 without its margins, in grey levels.

        Args:
            margin: share of height and width cut off on each side.
        """
        first, last = margin * _THUMBNAIL, (1 - margin) * _THUMBNAIL
        return _grid(Image.fromarray(self.thumbnail), _FINE, (first, first, last, last))

    @cached_property
    def cropped(self) -> NDArray[np.float16]:
        """Structure at 64x64 with each of `_MARGINS` cut off; in half precision, since those of many are held."""
        return np.stack([_structure(self.grey(margin)) for margin in _MARGINS]).astype(np.float16)


def fingerprint(image: NDArray[np.uint8]) -> Fingerprint:
    """Fingerprint an image.

    Args:
        image: 2D grey image, any size.

    Returns:
        Its fingerprint, independent of scale, and of brightness and contrast as far as nothing is clipped away.
    """
    picture = Image.fromarray(image)
    return Fingerprint(
        coarse=_structure(_grid(picture, _COARSE)),
        fine=_structure(_grid(picture, _FINE)),
        thumbnail=np.asarray(picture.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)),
    )


def fingerprint_file(path: Path) -> Fingerprint:
    """Fingerprint an image file.

    Args:
        path: PNG or JPEG file; a large JPEG is decoded at the reduced scale that its format offers.

    Returns:
        Its fingerprint, of the stored pixels.

    Raises:
        OSError: if the file cannot be decoded.
    """
    with Image.open(path) as image:
        image.draft("L", (4 * _FINE, 4 * _FINE))
        return fingerprint(np.asarray(image.convert("L")))


def fingerprint_records(records: Iterable[ImageRecord]) -> dict[str, Fingerprint]:
    """Fingerprint the files of records.

    Args:
        records: of one data set; those without a file are passed over.

    Returns:
        Record id to fingerprint.

    Raises:
        OSError: if a file cannot be decoded.
    """
    return {record.record_id: fingerprint_file(record.path) for record in records if record.path is not None}


def correlation(first: Fingerprint, second: Fingerprint) -> float:
    """How far two fingerprints show one film, -1..1.

    Args:
        first: a fingerprint.
        second: another.

    Returns:
        The correlation of the whole images where they overlap after the best shift; or that of their upper halves,
        which is all that is left of a file cut short, where it is greater and reaches `SAME_TOP`; or, where neither
        makes them one film, that of a closer look if it reaches `SAME_CLOSER`.
    """
    value = _at_first_sight(first, second)
    if not _ALIKE <= value < SAME_FILM:
        return value
    closer = _closer_look(first, second)
    return closer if closer >= SAME_CLOSER else value


def _at_first_sight(first: Fingerprint, second: Fingerprint) -> float:
    whole = _shifted_ncc(first.fine, second.fine)
    top_a, top_b = first.fine[: _FINE // 2], second.fine[: _FINE // 2]
    if min(float((top_a**2).sum()), float((top_b**2).sum())) < _TOP_ENERGY:
        return whole
    top = _ncc(top_a, top_b)
    return max(whole, top) if top >= SAME_TOP else whole


def near_duplicates(
    fingerprints: Mapping[str, Fingerprint], *, threshold: float = SAME_FILM
) -> list[tuple[str, str, float]]:
    """All pairs of images that show one film.

    Args:
        fingerprints: name to fingerprint.
        threshold: least correlation, 0..1.

    Returns:
        Triples (name, name, correlation), names in the order given, best correlation first.
    """
    names = list(fingerprints)
    pairs = []
    for i, j in _candidates([fingerprints[name].coarse for name in names]):
        value = correlation(fingerprints[names[i]], fingerprints[names[j]])
        if value >= threshold:
            pairs.append((names[i], names[j], value))
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def duplicate_groups(pairs: Iterable[tuple[str, str, float]]) -> tuple[tuple[str, ...], ...]:
    """Join pairs that share an image into groups.

    Args:
        pairs: as `near_duplicates` gives them.

    Returns:
        Groups of at least two names, sorted within and among themselves.
    """
    group_of: dict[str, set[str]] = {}
    for first, second, _ in pairs:
        merged = group_of.get(first, {first}) | group_of.get(second, {second})
        group_of.update(dict.fromkeys(merged, merged))
    return tuple(sorted({tuple(sorted(group)) for group in group_of.values()}))


def _closer_look(first: Fingerprint, second: Fingerprint) -> float:
    """The best correlation with the margins of one cut off, and one in the tones of the other."""
    peaks = np.stack([_peaks(first.cropped, second.fine), _peaks(second.cropped, first.fine)])
    side, number = np.unravel_index(int(peaks.argmax()), peaks.shape)
    uncropped = float(_peaks(first.fine[None], second.fine)[0])
    margin = _MARGINS[number] if peaks[side, number] > uncropped else 0.0
    a, b = first.grey(margin * (side == 0)), second.grey(margin * (side == 1))
    in_a, in_b = _structure(a), _structure(b)
    return max(
        _shifted_ncc(in_a, in_b),
        _shifted_ncc(_structure(_in_tones_of(b, a)), in_b),
        _shifted_ncc(in_a, _structure(_in_tones_of(a, b))),
    )


def _peaks(planes: AnyPlane, plane: Plane) -> Plane:
    """Of each of several planes the best circular correlation with one plane."""
    spectra = scipy.fft.rfft2(planes.astype(np.float32, copy=False)) * scipy.fft.rfft2(plane).conj()
    peaks: Plane = _near_zero(scipy.fft.irfft2(spectra, s=plane.shape), _FINE_SHIFT).max(axis=(1, 2))
    return peaks


def _in_tones_of(model: Plane, grey: Plane) -> Plane:
    """A picture with its grey levels moved, in their order, to those of another: clipped where the other is."""
    moved = np.empty(grey.size, dtype=np.float32)
    moved[np.argsort(grey, axis=None, kind="stable")] = np.sort(model, axis=None)
    return moved.reshape(grey.shape)


def _grid(picture: Image.Image, size: int, box: tuple[float, float, float, float] | None = None) -> Plane:
    """Mean grey levels on a size x size grid over the picture, or over a box of it."""
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX, box), dtype=np.float32)


def _structure(grey: Plane) -> Plane:
    """Detail finer than a few cells of a grid, at even local contrast."""
    detail = grey - ndimage.gaussian_filter(grey, _SIGMA)
    detail /= np.sqrt(ndimage.gaussian_filter(detail * detail, _SIGMA) + _FLOOR)
    detail -= detail.mean()
    norm = float(np.linalg.norm(detail))
    return np.asarray(detail / max(norm, 1e-6), dtype=np.float32)


def _candidates(planes: list[Plane]) -> list[tuple[int, int]]:
    """Index pairs (i < j) whose coarse planes correlate at some small shift, or in their upper halves."""
    if not planes:
        return []
    stack = np.stack(planes)
    spectra = scipy.fft.rfft2(stack)
    tops = stack[:, : _COARSE // 2].reshape(len(stack), -1)
    tops = tops / np.maximum(np.linalg.norm(tops, axis=1, keepdims=True), 1e-6)
    found = []
    for i in range(len(stack) - 1):
        surface = scipy.fft.irfft2(spectra[i].conj()[None] * spectra[i + 1 :], s=(_COARSE, _COARSE))
        best = _near_zero(surface, _COARSE_SHIFT).max(axis=(1, 2))
        hit = (best > _COARSE_MATCH) | (tops[i + 1 :] @ tops[i] > _COARSE_MATCH)
        found += [(i, i + 1 + int(k)) for k in np.flatnonzero(hit)]
    return found


def _near_zero(surface: Plane, reach: int) -> Plane:
    """The part of a circular correlation surface (..., N, N) with shifts -reach..reach, in that order."""
    rows = np.concatenate([surface[..., -reach:, :], surface[..., : reach + 1, :]], axis=-2)
    return np.concatenate([rows[..., -reach:], rows[..., : reach + 1]], axis=-1)


def _best_shift(first: Plane, second: Plane) -> tuple[int, int]:
    """Rows and columns by which `first` is displaced against `second`, by circular correlation."""
    spectrum = scipy.fft.rfft2(first) * scipy.fft.rfft2(second).conj()
    near = _near_zero(scipy.fft.irfft2(spectrum, s=first.shape), _FINE_SHIFT)
    dy, dx = np.unravel_index(int(near.argmax()), near.shape)
    return int(dy) - _FINE_SHIFT, int(dx) - _FINE_SHIFT


def _shifted_ncc(first: AnyPlane, second: AnyPlane) -> float:
    """Correlation where two planes overlap after the best shift."""
    a, b = first.astype(np.float32, copy=False), second.astype(np.float32, copy=False)
    return _ncc(*_overlap(a, b, *_best_shift(a, b)))


def _overlap(first: Plane, second: Plane, dy: int, dx: int) -> tuple[Plane, Plane]:
    rows, columns = first.shape
    own = first[max(0, dy) : rows + min(0, dy), max(0, dx) : columns + min(0, dx)]
    other = second[max(0, -dy) : rows - max(0, dy), max(0, -dx) : columns - max(0, dx)]
    return own, other


def _ncc(first: Plane, second: Plane) -> float:
    """Pearson correlation; 0 where one of them is flat."""
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-12 else 0.0
