"""The one preprocessing that training and serving share: read, standardise, letterbox.

What a display shows (modality LUT, VOI window, MONOCHROME1, padding: all done by `medground.dicom`) becomes the model's
frame here, in a MONAI `Compose` over a MONAI `ImageReader`, so that what is served is what was validated.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import ImageReader
from monai.transforms import Compose, MapTransform
from numpy.typing import NDArray
from torch import Tensor

from medground.imaging.display import Display, read_display
from medground.imaging.letterbox import Letterbox, to_tensor
from medground.schema.errors import MedgroundError

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
BLACK = -2.0  # the standardised value of the low percentile, and of the letterbox's padding


@dataclass(frozen=True, slots=True)
class ModelImage:
    """An image in the model frame.

    Attributes:
        pixels_HW: float32, standardised: low percentile -2, high percentile +2, cut at -3 and 3.
        letterbox: the map to stored pixels and back.
        colourfulness: mean spread between colour channels, 0 (grey) to 1.
        full_HW: standardised like the pixels, at the size of the stored image; None where nobody needs it.
        beside: of a slice of a volume, the pixels of the slices below and above; None for an image on its own.
    """

    pixels_HW: Tensor
    letterbox: Letterbox
    colourfulness: float
    full_HW: Tensor | None = None
    beside: tuple[Tensor, Tensor] | None = None

    @property
    def channels_CHW(self) -> Tensor:  # noqa: N802 - shape suffix
        """The pixels as one channel, or as three: below, itself, above."""
        if self.beside is None:
            return self.pixels_HW[None]
        return torch.stack([self.beside[0], self.pixels_HW, self.beside[1]])


def mirrored(image: ModelImage) -> ModelImage:
    """The image with left and right exchanged; the padding stays at the right."""
    inner = image.letterbox.inner_columns

    def flip(pixels_HW: Tensor) -> Tensor:
        return torch.cat([pixels_HW[:, :inner].flip(1), pixels_HW[:, inner:]], 1)

    beside = (flip(image.beside[0]), flip(image.beside[1])) if image.beside else None
    return replace(image, pixels_HW=flip(image.pixels_HW), full_HW=None, beside=beside)


def stacked(images: Sequence[Tensor]) -> Tensor:
    """Images (C, H, W) of one size as a batch; where some have three channels, one on its own is its own neighbour."""
    most = max(image_CHW.shape[0] for image_CHW in images)
    return torch.stack([image_CHW.expand(most, -1, -1) for image_CHW in images])


class DisplayReader(ImageReader):
    """A MONAI reader that gives what a display would show, from DICOM, PNG or JPEG.

    Also takes an array that was displayed already, so that a frame decoded elsewhere passes through the same steps.
    """

    def verify_suffix(self, filename: Sequence[Path | str] | Path | str) -> bool:  # noqa: ARG002 - the protocol's name
        """True: contents decide, not names."""
        return True

    def read(self, data: Any, **kwargs: Any) -> Display:  # noqa: ARG002 - the protocol's signature
        """Reads a path, or wraps an array (rows, columns) or (rows, columns, 3) of 0..1.

        Raises:
            InputError: if the file cannot be read.
        """
        if isinstance(data, np.ndarray):
            return Display.of(data)
        return read_display(Path(data))

    def get_data(self, img: Any) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The grey pixels (rows, columns), 0..1, and the metadata MONAI passes along."""
        return img.grey, {"spatial_shape": img.grey.shape, "colourfulness": img.colourfulness}


class ReadDisplayd(MapTransform):
    """Reads `image` with a `DisplayReader` and keeps its colourfulness."""

    def __init__(self, keys: Sequence[str] = ("image",)) -> None:
        super().__init__(keys)
        self.reader = DisplayReader()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replaces each key by its grey pixels (rows, columns) and adds `colourfulness`."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key], meta = self.reader.get_data(self.reader.read(out[key]))
            out["colourfulness"] = meta["colourfulness"]
        return out


class Standardised(MapTransform):
    """Stretches each image between two percentiles, so that exposure and window matter little."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Maps the percentiles 0.5 and 99.5 to -2 and 2 and cuts at -3 and 3; a flat image becomes -2."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = standardise(out[key])
        return out


class Letterboxed(MapTransform):
    """Resamples into the model frame and adds the `letterbox`."""

    def __init__(self, size_px: int, keys: Sequence[str] = ("image",)) -> None:
        super().__init__(keys)
        self.size_px = size_px

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replaces each key by its (frame_rows, frame_columns) tensor; what came in becomes `full`."""
        out = dict(data)
        for key in self.key_iterator(out):
            rows, columns = out[key].shape
            out["full"] = to_tensor(out[key])
            out["letterbox"] = Letterbox.fit(columns, rows, self.size_px)
            out[key] = out["letterbox"].apply(out["full"], fill=BLACK)
        return out


def standardise(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """See `Standardised`."""
    step = max(1, int(np.sqrt(image.size / 2**18)))
    low, high = np.percentile(image[::step, ::step], [LOW_PERCENT, HIGH_PERCENT])
    if high - low < 1e-6:
        return np.full_like(image, BLACK)
    stretched: NDArray[np.float32] = np.clip((image - low) / (high - low) * 4 + BLACK, -3, 3).astype(np.float32)
    return stretched


def preprocessing(size_px: int) -> Compose:
    """The whole chain: a dict with `image` (path or array) becomes one with `image`, `letterbox`, `colourfulness`."""
    return Compose([ReadDisplayd(), Standardised("image"), Letterboxed(size_px)])


def prepare(image: Path | NDArray[np.float32], size_px: int, *, keep_full: bool = False) -> ModelImage:
    """One image through `preprocessing`.

    Args:
        image: a DICOM, PNG or JPEG file, or a displayed frame (rows, columns[, 3]) of 0..1.
        size_px: long side in the model frame.
        keep_full: keep the stored size too, for looks at parts of it.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        out = preprocessing(size_px)({"image": image})
    except RuntimeError as error:  # MONAI wraps what a transform raises
        if isinstance(error.__cause__, MedgroundError):
            raise error.__cause__ from None
        raise
    return ModelImage(out["image"], out["letterbox"], out["colourfulness"], out["full"] if keep_full else None)
