"""What makers call licences, as the identifiers of SPDX."""

from __future__ import annotations

import re

_KNOWN = (
    *("Apache-2.0", "MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Zlib", "Unlicense"),
    *("MPL-2.0", "PSF-2.0", "HPND", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "BSL-1.0", "LGPL-3.0-only"),
    *(
        "LGPL-2.1-or-later",
        "LGPL-3.0-or-later",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "AGPL-3.0-only",
    ),
)
_IDS = {name.lower(): name for name in _KNOWN}
_WORDS = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl 2.0": "MPL-2.0",
}
"""Only names that mean one licence: `BSD License` and `Apache Software License` may be several."""
_JOINED = re.compile(r"\s+(AND|OR)\s+")


def spdx_id(words: str) -> str | None:
    """The identifier of one licence; None if it is not known which one is meant.

    Args:
        words: of a maker.
    """
    plain = words.strip().lower()
    return _IDS.get(plain) or _WORDS.get(plain)


def spdx_expression(words: str) -> str | None:
    """Several licences joined by AND or OR, all of them known; None for anything else.

    Args:
        words: of a maker.
    """
    parts = _JOINED.split(words.strip())
    ids = [part if n % 2 else spdx_id(part) for n, part in enumerate(parts)]
    return " ".join(i for i in ids if i) if len(parts) > 1 and all(ids) else None
