"""`python -m tests.serving.faults.blob_worker CONFIG`: a worker of its own with the reader of blobs."""

from __future__ import annotations

import sys
from pathlib import Path

from medground.serving.config import Role, load_config
from medground.serving.run import serve
from tests.inference.blob_reader import BlobReader
from tests.serving.faults.house import SHA256, loading


def main() -> None:
    config = load_config(Path(sys.argv[1]))
    serve(config, Role.WORKER, loading(BlobReader(sha256=SHA256)), say=print)


if __name__ == "__main__":
    main()
