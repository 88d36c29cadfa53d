"""Programs by others that say whether our DICOM objects are right, and random results to ask them about."""
