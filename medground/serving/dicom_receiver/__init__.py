"""The DICOM network side of the service: images come in by C-STORE, and go to and from archives."""
