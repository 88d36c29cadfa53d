"""Words that DICOM itself uses: a patient may be called Left, and not every `Left` in a file is that patient."""

from __future__ import annotations

import functools
import re

from pydicom._dicom_dict import DicomDictionary

_MORE = """
abdomen adult ankle arch arm back bone brain breast calf cardiac cervical chest child clinic clinical coronal
department ear east elbow emergency english extremity face female fluid foot forearm frontal general hand head heart
hip hospital imaging institute iv jaw kidney knee leg liver lumbar lung male medical medicine neck north nose oblique
pelvis practice radiography radiology removed research right room sagittal shoulder siemens south spine standard street
surgery synthetic test thigh thoracic thorax toe trauma university unknown upper lower west whole wrist anonymous
anonymized center centre philips canon toshiba hitachi fuji fujifilm agfa carestream kodak konica minolta general
electric hologic samsung shimadzu varian elekta axial phantom none perfusion stroke
"""


@functools.cache
def ordinary_words() -> frozenset[str]:
    """Lower-case words of the names of all DICOM attributes, and some of bodies, hospitals and makers."""
    names = " ".join(entry[2] for entry in DicomDictionary.values()) + _MORE
    return frozenset(word.lower() for word in re.findall(r"[A-Za-z]{2,}", names))


def is_ordinary(value: str) -> bool:
    """Whether every word of a value is an ordinary one; False for a value without words."""
    words = re.findall(r"\w+", value.casefold())
    return bool(words) and all(word in ordinary_words() for word in words)
