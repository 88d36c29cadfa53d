"""Structured reports (TID 1500): results out and back."""

from medground.dicom.sr.read import read_sr
from medground.dicom.sr.regions import ReportedBox, read_sr_boxes
from medground.dicom.sr.review import Review
from medground.dicom.sr.write import SrKind, write_sr

__all__ = ["ReportedBox", "Review", "SrKind", "read_sr", "read_sr_boxes", "write_sr"]
