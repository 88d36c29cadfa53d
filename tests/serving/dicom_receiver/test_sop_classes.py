"""The tables of what is taken."""

from __future__ import annotations

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from medground.dicom import decode
from medground.serving.dicom_receiver.sop_classes import (
    PLAIN_SYNTAXES,
    STORAGE_CLASSES,
    TRANSFER_SYNTAXES,
    VERIFICATION,
    name_of,
    offered,
    presentation_contexts,
)

MULTI_COMPONENT = {
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.93",
}  # JPEG 2000 part 2: nothing was ever read in it


def test_every_syntax_has_a_decoder_and_every_decoder_its_syntax() -> None:
    native = {syntax for syntax in TRANSFER_SYNTAXES if decode.is_native(syntax)}
    compressed = set(TRANSFER_SYNTAXES) - native
    expanded = {RLELossless, decode.DEFLATED_FRAMES, decode.ENCAPSULATED_NATIVE}
    assert compressed - expanded == set(decode._PLUGINS) - MULTI_COMPONENT
    assert expanded <= set(TRANSFER_SYNTAXES)
    assert {ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian} <= native
    assert len(TRANSFER_SYNTAXES) == len(set(TRANSFER_SYNTAXES)) == 18


def test_classes_are_unique_and_have_names() -> None:
    assert len(set(STORAGE_CLASSES)) == len(STORAGE_CLASSES) == 15
    assert [name_of(uid) for uid in (*offered(), *TRANSFER_SYNTAXES) if name_of(uid)[0].isdigit()] == []
    assert name_of(decode.DEFLATED_FRAMES) == "Deflated Image Frame Compression"


def test_contexts_are_what_is_offered() -> None:
    found = {str(one.abstract_syntax): tuple(map(str, one.transfer_syntax)) for one in presentation_contexts()}
    assert found == {uid: tuple(map(str, syntaxes)) for uid, syntaxes in offered().items()}
    assert found[VERIFICATION] == PLAIN_SYNTAXES
