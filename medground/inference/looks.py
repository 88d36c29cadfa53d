"""Looks that a question may ask for, in groups whose words exclude each other, in the order in which they are said.

Which of them can be told of a finding is a matter of the bundle: it names the words it was taught with each finding on
each kind of image. Those of nodules on CT (surface, and what they consist of) come from their own phantom.
"""

from __future__ import annotations

from typing import Final, get_args

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.ct_nodules import Composition, Surface

_TEXTURE: Final = "texture"
LOOKS: Final[dict[str, tuple[str, ...]]] = {
    **{group: words for group, words in APPEARANCE_WORDS.items() if group != _TEXTURE},
    "surface": get_args(Surface),
    # What a nodule consists of is a texture too: "calcified" is said of films and of slices.
    _TEXTURE: tuple(dict.fromkeys((*APPEARANCE_WORDS[_TEXTURE], *get_args(Composition)))),
}
