"""Floor 1: DICOM in and out, without torch."""
