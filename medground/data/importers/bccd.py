"""BCCD: blood smears with boxes of three kinds of cell, in the layout of Pascal VOC.

Source: BCCD_Dataset (Shenggan, MIT).
"""

from __future__ import annotations

from pathlib import Path

from medground.data.importers.imported import Import, ImportOptions
from medground.data.importers.voc import read_folder

CONCEPTS = {"RBC": "red_blood_cell", "WBC": "white_blood_cell", "Platelets": "platelet"}
EXHAUSTIVE = frozenset({"white_blood_cell", "platelet"})
"""Not red cells: some of them are unlabelled in the source."""


class Bccd:
    """Importer of the folder `bccd`."""

    name = "bccd"
    title = "BCCD blood smears: Annotations/*.xml, JPEGImages/, ImageSets/Main/"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set; see `voc.Voc`."""
        return read_folder(
            source, options or ImportOptions(), dataset=self.name, classes=CONCEPTS, exhaustive_for=EXHAUSTIVE
        )


IMPORTER = Bccd()
