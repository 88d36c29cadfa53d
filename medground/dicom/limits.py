"""Limits: how much one input may ask of the machine. pydicom sets none of its own."""

from __future__ import annotations

from pydantic import Field

from medground.schema.config import StrictConfig


class Limits(StrictConfig):
    """Upper bounds on one input; whatever passes one is refused with a `LimitError` that names it.

    Attributes:
        max_file_bytes: size of a file, ZIPs included.
        max_inflated_bytes: size of a deflated data set, or of one member of a ZIP, after inflation.
        max_header_bytes: size of everything before the pixel data.
        max_elements: data elements and sequence items outside the pixel data.
        max_nesting: depth of sequences within sequences.
        max_pixels_per_frame: rows times columns, as the header and as the compressed stream itself declare them.
        max_frame_bytes: size of one frame after decoding.
        max_frames: frames of one object.
        max_files: files in one folder with its subfolders, or in one ZIP.
        max_zip_bytes: total size of the members of one ZIP after inflation.
    """

    max_file_bytes: int = Field(default=2 * 2**30, gt=0)
    max_inflated_bytes: int = Field(default=2**29, gt=0)
    max_header_bytes: int = Field(default=2**28, gt=0)
    max_elements: int = Field(default=1_000_000, gt=0)
    max_nesting: int = Field(default=64, gt=0, le=128)  # pydicom itself recurses, four calls to a level
    max_pixels_per_frame: int = Field(default=2**26, gt=0)
    max_frame_bytes: int = Field(default=2**29, gt=0)
    max_frames: int = Field(default=65536, gt=0)
    max_files: int = Field(default=200_000, gt=0)
    max_zip_bytes: int = Field(default=3 * 2**30, gt=0)
