"""`python -m pipelines NAME ...`: finds the job by name and runs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

JOBS = {
    "train": "train a recipe, calibrate it, and write its bundle",
    "campaign": "train and measure every arm of a comparison, and write its table",
    "measure": "score a bundle's boxes on a part of a real data set",
    "evaluate": "score a bundle on held-out phantoms and on real films",
    "card-evidence": "collect what the card of a bundle is computed from",
    "scope-check": "ask the committed list of questions in and out of scope",
    "ambiguous": "ask for one of several lesions in words, and count which was shown",
    "demo-check": "ask bundles the questions of the demo about many such patients, and count what is right",
    "real-input": "run the command on every development file, watching time and memory",
    "phantom-sheet": "draw the contact sheet of phantoms and compare them with real films",
    "find-duplicates": "list near-duplicate images of FracAtlas across its parts",
    "dicom-outcomes": "write what becomes of each development DICOM file",
    "dicom-references": "compare every development DICOM file with pydicom, SimpleITK, DCMTK and GDCM",
    "sr-judges": "write random results as reports and ask every judge about them",
    "closer": "time and score three ways of looking at large films: once, closer, everywhere",
    "volumes": "ask phantom CTs for nodules: sensitivity, extents in mm, time and memory",
    "crowded": "merge and describe the boxes of crowded films in three ways: time, doubles, lesions swallowed",
    "otherwise": "ask the same question of the same film stored in other ways",
    "crash": "kill the service's processes at random while studies come in, and look what is lost or doubled",
    "service-canaries": "send salted studies through the service, and search what it tells for what is theirs",
    "compare": "one page of several runs on the same images, rare findings first",
    "export-runs": "write runs of MLflow as small files that are committed",
    "mlflow-ui": "open MLflow with the shipped model's runs",
    "deidentify-canaries": "de-identify salted phantom studies and search for what is left",
    "hostile": "read mutated files through the guarded door, counting what dies",
    "pair-check": "verify generated question-region pairs, and catch corrupted ones",
    "leak-check-precision": "precision and recall of the leak check on real films",
    "augment-sheet": "draw a contact sheet of augmented samples with their questions",
    "cases": "give a bundle cases of its rare findings, to be shown beside what is like them",
    "viewer-states": "take a picture of every state of the viewer, at the sizes of two screens",
    "card-tamper": "edit an exported card and an audit log at random, and count what the checks miss",
    "conformance": "write the DICOM conformance statement",
    "export-schema": "write the JSON Schema of results.json",
}


def main() -> int:
    """Runs the job named first on the command line."""
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"} or sys.argv[1] not in JOBS:
        width = max(map(len, JOBS))
        lines = [f"  {name:<{width}}  {what}" for name, what in JOBS.items()]
        print("usage: python -m pipelines JOB [--help]\n\njobs:", *lines, sep="\n")
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    job: Callable[[list[str]], int] = importlib.import_module(f"pipelines.{sys.argv[1].replace('-', '_')}").main
    return job(sys.argv[2:])


if __name__ == "__main__":
    raise SystemExit(main())
