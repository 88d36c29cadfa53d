"""The adapter that OHIF hydrates structured reports with, run without a browser."""
