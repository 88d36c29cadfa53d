"""What the page tells the stage in the browser, and what the stage tells the page.

The stage is the component that shows images and boxes; `browser/src/contract.ts` has the same types. Boxes are xyxy
pixels of the stored image.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from medground.schema.result import BoxPx


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edges(_Part):
    """Sides of the patient at the edges of an image: R, L, A, P, H, F or two of them; empty where unknown."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


class Slice(_Part):
    """An image of a series; `position_mm` is along the normal of the series, `spacing_mm` between rows and columns."""

    url: str
    sop: str
    frame: int
    position_mm: float | None
    spacing_mm: tuple[float, float] | None
    spacing_source: str | None
    edges: Edges


class Series(_Part):
    """Images in viewing order."""

    key: str
    label: str
    slices: tuple[Slice, ...]
    is_colour: bool = False
    linked_by: Literal["position", "index"] = "index"


class StageBox(_Part):
    """A box on one image; a finding through a volume has one on every slice, of which one is the main one."""

    id: str
    sop: str
    frame: int
    box_xyxy_px: BoxPx
    colour: str
    label: str
    status: str
    score: float | None
    is_main: bool


class Preset(_Part):
    """A window: what is black and what is white, in the values that the image measures."""

    name: str
    low: float
    high: float


class Choice(_Part):
    """An entry of a list."""

    key: str
    name: str


class Refused(_Part):
    """An event that could not be done, and why."""

    number: int
    words: str
    tab: str = ""


class StageData(_Part):
    """Everything that the stage shows; `acknowledged` is the number of the last event that was dealt with, by tab."""

    study: str
    series: Series
    prior: Series | None = None
    boxes: tuple[StageBox, ...] = ()
    selected: str | None = None
    presets: tuple[Preset, ...] = ()
    concepts: tuple[Choice, ...] = ()
    reasons: tuple[Choice, ...] = ()
    may_review: bool = False
    acknowledged: dict[str, int] = {}
    refused: tuple[Refused, ...] = ()
    notice: str = ""
    language: Literal["en"] = "en"
    height_px: int | None = None
    pixels_mib: int = 1536


class _Event(BaseModel):
    """Numbers grow within a tab; two tabs of one person know nothing of each other's."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    tab: str = Field(default="", pattern=r"^[0-9a-z]{0,32}$")
    number: int = Field(ge=1, le=2**53)
    study: str = Field(max_length=128)


_FindingId = Annotated[str, Field(pattern=r"^[0-9a-z-]{1,64}$")]
_Uid = Annotated[str, Field(max_length=64)]


class Select(_Event):
    """A finding was chosen on the stage."""

    kind: Literal["select"]
    finding: _FindingId


class Accept(_Event):
    """A finding is right as it is."""

    kind: Literal["accept"]
    finding: _FindingId


class Reject(_Event):
    """A finding is wrong, for a reason from the list."""

    kind: Literal["reject"]
    finding: _FindingId
    reason: str = Field(max_length=64)


class Edit(_Event):
    """A finding has another box."""

    kind: Literal["edit"]
    finding: _FindingId
    box_xyxy_px: BoxPx
    sop: _Uid
    frame: int = Field(ge=1)


class Relabel(_Event):
    """A finding is another one."""

    kind: Literal["relabel"]
    finding: _FindingId
    concept: str = Field(max_length=64)


class Add(_Event):
    """A finding was missed."""

    kind: Literal["add"]
    concept: str = Field(max_length=64)
    box_xyxy_px: BoxPx
    sop: _Uid
    frame: int = Field(ge=1)


class Undo(_Event):
    """The last entry is taken back."""

    kind: Literal["undo"]


Event = Annotated[Select | Accept | Reject | Edit | Relabel | Add | Undo, Field(discriminator="kind")]
EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])
