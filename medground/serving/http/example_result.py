"""The example of a result, which others are made of."""

from __future__ import annotations

from typing import Any, Final

UID: Final = "1.2.826.0.1.3680043.8.498.1001"
MODEL: Final = {"name": "medground-compact", "version": "0.3.0", "sha256": "ab" * 32, "trained_on": ["phantom"]}
_CONCEPT: Final = {
    "key": "nodule",
    "name": "nodule",
    "code": {"scheme": "SCT", "value": "27925004", "meaning": "Nodule"},
}
_BOX: Final = [734.4, 384.3, 830.4, 464.0]

FINDING: Final[dict[str, Any]] = {
    "id": "bc32970051f8afb337729039",
    "source": f"{UID}.3",
    "series_instance_uid": f"{UID}.2",
    "sop_instance_uid": f"{UID}.3",
    "frame": 1,
    "box_xyxy_px": _BOX,
    "extent": None,
    "size_mm": {"width": 30.4, "height": 25.2, "depth": None, "spacing_source": "detector"},
    "score": 0.71,
    "concept": _CONCEPT,
    "laterality": "left",
    "zone": "middle zone",
    "description": {
        "text": "Marked as a nodule.",
        "statements": [{"kind": "finding", "text": "Marked as a nodule.", "origin": "model"}],
    },
    "similar": [{"case": "5e8dd41a0c9b7f23", "similarity": 0.83}],
}
RESULT: Final = {
    "schema_version": 1,
    "result_id": "95ba0341c2276d0b18dd568f",
    "model": MODEL,
    "settings": {
        "min_score": 0.2,
        "max_boxes": 300,
        "top_k": 10,
        "image_size_px": 512,
        "mode": "closer",
        "code_version": "0.1.0",
    },
    "studies": [
        {
            "study_instance_uid": f"{UID}.1",
            "sources": [f"{UID}.3"],
            "answers": [
                {
                    "id": "d9e2b8c927f6a0a3f98a3793",
                    "query": "is there a nodule?",
                    "language": "en",
                    "understood": {
                        "concepts": ["nodule"],
                        "side": None,
                        "zone": None,
                        "relation": None,
                        "rank": 1,
                        "count": None,
                        "attributes": [],
                        "negated": False,
                        "unknown_words": [],
                    },
                    "examined": [
                        {
                            "source": f"{UID}.3",
                            "series_instance_uid": f"{UID}.2",
                            "sop_instance_uid": f"{UID}.3",
                            "frames": [1],
                        }
                    ],
                    "verdict": "found",
                    "presence": 0.71,
                    "findings": [FINDING],
                    "warnings": [],
                }
            ],
            "report": {"number_of_findings": 1, "nothing_above_threshold": False, "recommendations": []},
            "warnings": [],
        }
    ],
    "refused": [],
    "skipped": [],
    "timing_ms": {"understand": 2.1, "look": 759.2, "answer": 2.4},
}
