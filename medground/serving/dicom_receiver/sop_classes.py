"""What is taken from other systems: storage SOP classes, and for each the transfer syntaxes it may come in.

The classes are those of still X-ray images, and of what was captured from a screen or scanned from a film: whoever is
asked about other images can only answer that it knows none, and should not hold them either. Reports, presentation
states and segmentations are refused too: the service answers about images and reads no findings of others, while what
such objects say can be imported for training (`medground import dicom-sr`). An archive that sends a whole study sees
those contexts refused, and sends the rest.

The transfer syntaxes are those that `medground.dicom.decode` reads and the tests have read images in.
"""

from __future__ import annotations

from functools import cache

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    LegacyConvertedEnhancedCTImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom.presentation import PresentationContext, build_context

from medground.dicom.decode import DEFLATED_FRAMES, ENCAPSULATED_NATIVE

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"

STORAGE_CLASSES: tuple[str, ...] = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalIntraOralXRayImageStorageForProcessing,
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    SecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)

# In the order of preference where a caller leaves the choice: as it is, then without loss, then with.
TRANSFER_SYNTAXES: tuple[str, ...] = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ENCAPSULATED_NATIVE,
    DEFLATED_FRAMES,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
)
PLAIN_SYNTAXES: tuple[str, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

_NAMES = {DEFLATED_FRAMES: "Deflated Image Frame Compression"}  # not in pydicom 3.0


@cache
def offered() -> dict[str, tuple[str, ...]]:
    """Every SOP class that is accepted, with its transfer syntaxes."""
    return {
        VERIFICATION: PLAIN_SYNTAXES,
        STORAGE_COMMITMENT: PLAIN_SYNTAXES,
        **dict.fromkeys(STORAGE_CLASSES, TRANSFER_SYNTAXES),
    }


def presentation_contexts() -> list[PresentationContext]:
    """The same, as the negotiation needs it."""
    return [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in offered().items()]


def name_of(uid: str) -> str:
    """The name of a SOP class or transfer syntax in the standard."""
    return _NAMES.get(uid) or str(UID(uid).name)
