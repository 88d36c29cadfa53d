"""What is not de-identified although it could be read: text in pixels, documents, directories."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import UID

from medground.dicom.deidentify.options import Options
from medground.dicom.elements import text

DIRECTORY = "1.2.840.10008.1.3.10"
_LIKELY_MODALITIES = frozenset({"US", "SC", "XA"})
_LIKELY_CLASSES = ("Secondary Capture", "Ultrasound", "X-Ray Angiographic", "XRay Angiographic")


def reason_to_refuse(dataset: Dataset, options: Options, *, has_pixels: bool) -> str | None:
    """Why this object is not taken, in words that tell nothing of the patient; None if it is.

    Args:
        dataset: as read, before anything is removed.
        options: whether burned-in text is allowed.
        has_pixels: the object is an image.

    Source: PS3.15 E.2 and E.3.1 (burned-in annotation), PS3.3 C.24.2 (encapsulated documents).
    """
    name = UID(text(dataset, "SOPClassUID") or "").name
    if "EncapsulatedDocument" in dataset or name.startswith("Encapsulated"):
        return "an encapsulated document (PDF, CDA, model) is not searched inside; leave it out"
    if not has_pixels or options.allow_burned_in:
        return None
    burned = (text(dataset, "BurnedInAnnotation") or "").upper()
    if burned == "YES":
        return "its pixels are said to show text (BurnedInAnnotation YES); --allow-burned-in takes it as it is"
    likely = (text(dataset, "Modality") or "").upper() in _LIKELY_MODALITIES or any(c in name for c in _LIKELY_CLASSES)
    if burned != "NO" and likely:
        return (
            "ultrasound, secondary capture and angiography often show names in their pixels, and this one does not say "
            "BurnedInAnnotation NO; --allow-burned-in takes it as it is"
        )
    return None
