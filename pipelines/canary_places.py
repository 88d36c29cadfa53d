"""Places in a DICOM file where an identity can sit: each puts a canary there, through pydicom or into the bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

Salt = Callable[[Dataset, "Canary"], None]


@dataclass(frozen=True, slots=True)
class Canary:
    """What is put into one place of one study and must never be seen again.

    Attributes:
        word: letters and digits, unique to study and place.
        digits: ten digits, unique as well.
        day: a date.
    """

    word: str
    digits: str
    day: date

    @property
    def name(self) -> str:
        """As a person name."""
        return f"{self.word}^Given{self.word}"

    @property
    def da(self) -> str:
        """The date as DICOM writes it."""
        return f"{self.day:%Y%m%d}"

    @property
    def uid(self) -> str:
        """A UID with the digits in it."""
        return f"1.2.826.0.1.3680043.{self.digits}.{self.da}"


def _put(keyword: str, form: str = "{0.word}") -> Salt:
    def salt(dataset: Dataset, canary: Canary) -> None:
        setattr(dataset, keyword, form.format(canary))

    return salt


def _item(**elements: str) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _element(tag: int, vr: str, form: Callable[[Canary], object]) -> Salt:
    def salt(dataset: Dataset, canary: Canary) -> None:
        dataset[tag] = DataElement(tag, vr, form(canary))

    return salt


def _bytes_of(canary: Canary) -> bytes:
    text = f"{canary.name} {canary.digits} {canary.day:%d.%m.%Y}".encode()
    return text + b"\0" * (len(text) % 2)


def _other_ids(dataset: Dataset, canary: Canary) -> None:
    dataset.OtherPatientIDsSequence = [_item(PatientID=canary.digits, IssuerOfPatientID=canary.word)]


def _request(dataset: Dataset, canary: Canary) -> None:
    dataset.RequestAttributesSequence = [
        _item(RequestedProcedureID=canary.digits[:9], ScheduledProcedureStepDescription=f"for {canary.word}")
    ]


def _physician_identity(dataset: Dataset, canary: Canary) -> None:
    code = _item(CodeValue=canary.word[:16], CodingSchemeDesignator="99HIS", CodeMeaning=canary.name)
    item = _item(InstitutionName=canary.word, PersonAddress=f"{canary.word} Road 7")
    item.PersonIdentificationCodeSequence = [code]
    dataset.ReferringPhysicianIdentificationSequence = [item]


def _deep(dataset: Dataset, canary: Canary) -> None:
    """Ten sequences deep, in a sequence that Table E.1-1 does not list."""
    item = _item(PatientName=canary.name, ImageComments=canary.word, StudyDate=canary.da)
    for _ in range(10):
        outer = Dataset()
        outer.DerivationImageSequence = [item]
        item = outer
    dataset.DerivationImageSequence = [item]


def _private(dataset: Dataset, canary: Canary) -> None:
    block = dataset.private_block(0x0019, f"MAKER {canary.word}", create=True)
    block.add_new(0x01, "LO", canary.word)
    block.add_new(0x02, "OB", _bytes_of(canary))
    block.add_new(0x03, "SQ", [_item(PatientName=canary.name)])
    block.add_new(0x04, "DA", canary.da)
    block.add_new(0x05, "UN", _bytes_of(canary))


def _private_in_item(dataset: Dataset, canary: Canary) -> None:
    item = _item(CodeValue="1", CodingSchemeDesignator="99MEDGROUND", CodeMeaning="view")
    item.private_block(0x0011, canary.word, create=True).add_new(0x01, "UT", canary.name)
    dataset.DeviceSequence = [item]


def _odd_group_after_pixels(dataset: Dataset, canary: Canary) -> None:
    dataset.private_block(0x7FE1, canary.word, create=True).add_new(0x01, "OB", _bytes_of(canary))


def _overlay(dataset: Dataset, canary: Canary) -> None:
    dataset[0x60000010] = DataElement(0x60000010, "US", 8)
    dataset[0x60000011] = DataElement(0x60000011, "US", 8)
    dataset[0x60000022] = DataElement(0x60000022, "LO", canary.word)
    dataset[0x60001500] = DataElement(0x60001500, "LO", canary.word)
    dataset[0x60003000] = DataElement(0x60003000, "OW", _bytes_of(canary))
    dataset[0x60004000] = DataElement(0x60004000, "LT", canary.name)


def _curve(dataset: Dataset, canary: Canary) -> None:
    dataset[0x50002500] = DataElement(0x50002500, "LO", canary.word)
    dataset[0x50003000] = DataElement(0x50003000, "OW", _bytes_of(canary))


def _icon(dataset: Dataset, canary: Canary) -> None:
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated = 1, len(_bytes_of(canary)), 8
    icon.PixelData = _bytes_of(canary)
    icon["PixelData"].VR = "OB"
    dataset.IconImageSequence = [icon]


def _signature(dataset: Dataset, canary: Canary) -> None:
    item = _item(DigitalSignatureUID=canary.uid, DigitalSignatureDateTime=f"{canary.da}120000")
    item.CertificateOfSigner = _bytes_of(canary)
    dataset.DigitalSignaturesSequence = [item]


def _original_attributes(dataset: Dataset, canary: Canary) -> None:
    item = _item(ModifyingSystem=canary.word, SourceOfPreviousValues=canary.word)
    item.AttributeModificationDateTime = f"{canary.da}0812"
    item.ModifiedAttributesSequence = [_item(PatientName=canary.name, PatientID=canary.digits)]
    dataset.OriginalAttributesSequence = [item]


def _reference(dataset: Dataset, canary: Canary) -> None:
    item = _item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=canary.uid)
    dataset.ReferencedImageSequence = [item]


def _meta_ae(dataset: Dataset, canary: Canary) -> None:
    dataset.file_meta.SourceApplicationEntityTitle = canary.word[:16]


def _meta_private(dataset: Dataset, canary: Canary) -> None:
    meta: FileMetaDataset = dataset.file_meta
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = UID(canary.uid), _bytes_of(canary)


def _preamble(dataset: Dataset, canary: Canary) -> None:
    dataset.preamble = _bytes_of(canary).ljust(128, b"\0")[:128]


def _content(dataset: Dataset, canary: Canary) -> None:
    text = _item(RelationshipType="CONTAINS", ValueType="TEXT", TextValue=f"Seen {canary.day:%d/%m/%Y}: {canary.word}")
    person = _item(RelationshipType="HAS OBS CONTEXT", ValueType="PNAME", PersonName=canary.name)
    day = _item(RelationshipType="CONTAINS", ValueType="DATE", Date=canary.da)
    uid = _item(RelationshipType="CONTAINS", ValueType="UIDREF", UID=canary.uid)
    dataset.ContentSequence = [text, person, day, uid]


def _graphic(dataset: Dataset, canary: Canary) -> None:
    words = _item(UnformattedTextValue=f"{canary.name} {canary.digits}", BoundingBoxAnnotationUnits="PIXEL")
    layer = _item(GraphicLayer="LAYER1")
    layer.TextObjectSequence = [words]
    dataset.GraphicAnnotationSequence = [layer]


def _verifier(dataset: Dataset, canary: Canary) -> None:
    item = _item(VerifyingObserverName=canary.name, VerifyingOrganization=canary.word)
    item.VerificationDateTime = f"{canary.da}101112"
    dataset.VerifyingObserverSequence = [item]


PLACES: Final[dict[str, Salt]] = {
    "patient name": _put("PatientName", "{0.name}"),
    "ideographic name": _put("PatientBirthName", "{0.word}^A={0.word}王^小{0.word}=="),
    "other patient names": _put("OtherPatientNames", "{0.name}"),
    "mother's birth name": _put("PatientMotherBirthName", "{0.name}"),
    "responsible person": _put("ResponsiblePerson", "{0.name}"),
    "referring physician": _put("ReferringPhysicianName", "{0.name}"),
    "performing physician": _put("PerformingPhysicianName", "{0.name}"),
    "reading physician": _put("NameOfPhysiciansReadingStudy", "{0.name}"),
    "operator": _put("OperatorsName", "{0.name}"),
    "requesting physician": _put("RequestingPhysician", "{0.name}"),
    "identity of a physician, coded": _physician_identity,
    "patient ID": _put("PatientID", "P{0.digits}"),
    "other patient IDs": _put("OtherPatientIDs", "{0.digits}"),
    "sequence of other patient IDs": _other_ids,
    "issuer of the patient ID": _put("IssuerOfPatientID"),
    "accession number": _put("AccessionNumber", "{0.digits}"),
    "study ID": _put("StudyID", "{0.digits}"),
    "admission ID": _put("AdmissionID", "{0.digits}"),
    "medical record locator": _put("MedicalRecordLocator"),
    "request attributes": _request,
    "institution": _put("InstitutionName", "{0.word} hospital"),
    "institution's address": _put("InstitutionAddress", "7 {0.word} street"),
    "department": _put("InstitutionalDepartmentName"),
    "patient's address": _put("PatientAddress", "{0.word} road, {0.digits}"),
    "telephone": _put("PatientTelephoneNumbers", "+{0.digits}"),
    "station name": _put("StationName"),
    "device serial number": _put("DeviceSerialNumber", "{0.digits}"),
    "detector ID": _put("DetectorID"),
    "device UID": _put("DeviceUID", "{0.uid}"),
    "application entity": _put("PerformedStationAETitle", "{0.word:.16}"),
    "retrieve URL": _put("RetrieveURL", "http://pacs.example/{0.word}"),
    "e-mail in a comment": _put("ImageComments", "mail {0.word}@example.org about {0.digits}"),
    "patient comments": _put("PatientComments"),
    "history": _put("AdditionalPatientHistory", "{0.word} fell on {0.day:%d %b %Y}"),
    "name in a study description": _put("StudyDescription", "CT of {0.word}"),
    "name in a series description": _put("SeriesDescription", "chest {0.word}"),
    "name in a protocol": _put("ProtocolName"),
    "date in a text": _put("AdmittingDiagnosesDescription", "seen {0.day:%Y-%m-%d}"),
    "text of an unlisted attribute": _put("PixelSpacingCalibrationDescription"),
    "text where a code string belongs": _element(0x00185100, "CS", lambda c: f"{c.word.lower()} ({c.digits})"),
    "birth date": _put("PatientBirthDate", "{0.da}"),
    "study date": _put("StudyDate", "{0.da}"),
    "date and time": _put("AcquisitionDateTime", "{0.da}101112.123456"),
    "date of an unlisted attribute": _put("PatientBirthDateInAlternativeCalendar", "{0.day:%d %b %Y}"),
    "deep in unlisted sequences": _deep,
    "private block": _private,
    "private block in an item": _private_in_item,
    "private group after the pixels": _odd_group_after_pixels,
    "unknown element": _element(0x00181FF1, "UN", _bytes_of),
    "known element as UN": _element(0x00102180, "UN", _bytes_of),
    "retired text group": _element(0x40004000, "LT", lambda c: c.name),
    "overlay": _overlay,
    "curve": _curve,
    "icon": _icon,
    "digital signature": _signature,
    "original attributes": _original_attributes,
    "referenced instance": _reference,
    "UID with a number in it": _put("FrameOfReferenceUID", "{0.uid}"),
    "file meta: sender": _meta_ae,
    "file meta: private": _meta_private,
    "preamble": _preamble,
    "content tree": _content,
    "graphic text": _graphic,
    "verifying observer": _verifier,
}


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG or JPEG 2000 stream: marker, length, content."""
    return struct.pack(">HH", marker, len(content) + 2) + content


def salted_stream(frame: bytes, canary: Canary) -> bytes:
    """A compressed frame with the canary in comments, in application segments and after its end.

    Args:
        frame: JPEG, JPEG-LS, JPEG 2000 or RLE.
        canary: what to put there.
    """
    text = _bytes_of(canary)
    if frame.startswith(b"\xff\xd8"):
        frame = frame[:2] + segment(0xFFE1, b"Exif\0\0" + text) + segment(0xFFFE, text) + frame[2:]
    elif frame.startswith(b"\xff\x4f\xff\x51"):
        after_size = 4 + int.from_bytes(frame[4:6], "big")
        frame = frame[:after_size] + segment(0xFF64, b"\0\x01" + text) + frame[after_size:]
    return frame + text


def salted_file(content: bytes, canary: Canary, *, implicit: bool, little: bool) -> bytes:
    """A file with the canary behind its data set, as Data Set Trailing Padding.

    Args:
        content: the file.
        canary: what to put there.
        implicit: the data set is in implicit VR.
        little: the data set is in little endian.
    """
    text, order = _bytes_of(canary), "<" if little else ">"
    if implicit:
        return content + struct.pack(f"{order}HHL", 0xFFFC, 0xFFFC, len(text)) + text
    return content + struct.pack(f"{order}HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, len(text)) + text
