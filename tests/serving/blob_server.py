"""`python -m tests.serving.blob_server CONFIG SECONDS`: a whole service that reads blobs, each image for so long.

It takes itself for the shipped model, since that is what a service says that it has before it has loaded it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medground.imaging.preprocess import ModelImage
from medground.model.bundle_facts import read_facts
from medground.model.reading import ImageReading, Phrase
from medground.schema.errors import MedgroundError
from medground.serving.config import Role, load_config
from medground.serving.run import serve
from tests.inference.blob_reader import BlobReader


@dataclass
class SlowReader(BlobReader):
    """Reads blobs, and takes its time."""

    seconds: float = 0.0

    def read(self, images: Sequence[ModelImage], phrases: Sequence[Phrase], **limits: Any) -> list[ImageReading]:
        time.sleep(self.seconds * len(images))
        return super().read(images, phrases, **limits)


def main(config: Path, seconds: float, role: str) -> int:
    """Serve until stopped; gives the exit code."""

    def load(bundle: Path | None, device: str) -> SlowReader:
        return SlowReader(sha256=read_facts(bundle).info.sha256, seconds=seconds)

    try:
        serve(load_config(config), Role(role), load, say=lambda words: print(words, flush=True))  # noqa: T201
    except MedgroundError as error:
        print(f"error: {error}", flush=True)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
