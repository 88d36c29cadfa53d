"""medground: ask a DICOM study in words, get boxes with descriptions that can be reviewed."""

__version__ = "0.1.0"
