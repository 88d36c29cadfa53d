"""Examples of requests and answers, for the OpenAPI document: every route has one of each that is JSON."""

from __future__ import annotations

from typing import Any, Final

from medground.serving.http.example_result import FINDING, MODEL, RESULT, UID

_STUDY: Final = "0123456789abcdef01234567"
_JOB: Final = "5f0c6a1d0e2b4c3d9a8b7c6d5e4f3a2b1c0d9e8f"
_JOB_DONE: Final = {
    "id": _JOB,
    "state": "done",
    "study": _STUDY,
    "queries": ["is there a nodule?"],
    "images_done": 1,
    "images": 1,
    "problem": None,
    "deliveries": [{"destination": "pacs", "state": "done", "attempts": 1, "problem": None}],
    "created": "2026-01-31T08:00:00Z",
    "updated": "2026-01-31T08:00:02Z",
    "result": f"/v1/jobs/{_JOB}/result",
}
_JOB_QUEUED: Final = {**_JOB_DONE, "state": "queued", "images_done": 0, "images": 0, "deliveries": [], "result": None}
_STUDY_VIEW: Final = {
    "study": _STUDY,
    "study_instance_uid": f"{UID}.1",
    "patient_name": "PHANTOM^ONE",
    "patient_id": "PHANTOM-1",
    "study_date": "20260131",
    "accession_number": "A-77",
    "description": "Chest",
    "modalities": ["DX"],
    "body_parts": ["CHEST"],
    "images": 1,
    "status": "answered",
    "received": "2026-01-31T08:00:00Z",
}
_PAGE: Final = {"studies": [_STUDY_VIEW], "next": None}
_STORED: Final = {"studies": [_STUDY], "accepted": 2, "new": 2, "refused": {}}
_FOUND: Final = [
    {
        "study_instance_uid": f"{UID}.1",
        "patient_id": "PHANTOM-1",
        "patient_name": "PHANTOM^ONE",
        "accession_number": "A-77",
        "study_date": "20260131",
        "description": "Chest",
        "modalities": ["DX"],
        "instances": 1,
    }
]
_ENTRY: Final = {
    "action": "edit",
    "finding_id": FINDING["id"],
    "reason": "wrong_size",
    "text": "smaller than the box",
    "box_xyxy_px": [740, 390, 820, 460],
}
_REVIEWED: Final = {
    "job": _JOB,
    "revision": 1,
    "entries": [
        {
            "job": _JOB,
            "revision": 1,
            "entry": _ENTRY,
            "reviewer": "token-699576d7691baa43",
            "reviewer_name": "reading-room",
            "at": "2026-01-31T08:05:00Z",
        }
    ],
    "findings": [{"finding_id": FINDING["id"], "status": "edited", "finding": FINDING, "entry": _ENTRY, "revision": 1}],
    "is_signed": False,
}
_SCOPE: Final = {
    "trained": [
        {
            "concept": "nodule",
            "domain": "chest radiograph",
            "images": 420,
            "boxes": 460,
            "real_boxes": 40,
            "synthetic_only": False,
            "described": True,
            "words": ["well-defined"],
        }
    ],
    "found_threshold": 0.5,
    "not_found_threshold": 0.2,
    "min_familiarity": 0.002,
    "min_domain_probability": 0.94,
    "default_min_score": 0.2,
    "min_side_px": 128,
    "max_colourfulness": 0.08,
}
_INSTANCE: Final = {
    "id": 1,
    "sop_instance_uid": f"{UID}.3",
    "frames": 1,
    "rows": 2022,
    "columns": 2022,
    "position_mm": None,
    "edges": {"left": "R", "right": "L", "top": "H", "bottom": "F"},
    "spacing_mm": [0.2, 0.2],
    "spacing_source": "detector",
    "windows": [{"name": "NORMAL", "low": 0.0, "high": 4094.0}],
    "image_laterality": "U",
    "view_position": "PA",
    "is_colour": False,
    "frame_positions_mm": [],
}
_ME: Final = {
    "name": "reading-room",
    "tenant": "example",
    "scopes": ["ground", "read", "review", "sign"],
    "kind": "token",
    "expires": "2026-05-01T08:00:00Z",
}
_AUDIT: Final = {
    "entries": [
        {
            "sequence": 7,
            "time": "2026-01-31T08:00:00.000006Z",
            "action": "study_read",
            "outcome": "success",
            "actor_kind": "token",
            "actor": "token:699576d7691baa43",
            "tenant": "example",
            "source": "10.1.2.4",
            "object_kind": "study",
            "object_id": _STUDY,
            "details": {"images": 1},
            "hash": "cd" * 32,
        }
    ],
    "next": None,
}
_CARD: Final = {
    "state": "verified",
    "words": "the card is whole, signed with a key that is trusted here, and of this model",
    "signer": "medground",
    "fingerprint": "ab" * 32,
    "exported_at": "2026-01-31T08:00:00Z",
}
_DRIFT: Final = {
    "format": 1,
    "model": MODEL["sha256"],
    "least_score": 0.2,
    "edges": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "results": 120,
    "left_out": False,
    "has_card": True,
    "concepts": [
        {
            "concept": "nodule",
            "name": "nodule",
            "expected": [40, 31, 22, 20, 18, 14, 9, 3],
            "weeks": [
                {
                    "monday": "2026-01-26",
                    "scores": [6, 5, 4, 2, 3, 2, 1, 0],
                    "psi": 0.021,
                    "outcomes": {"unreviewed": 3, "accepted": 15, "edited": 3, "rejected": 2, "added": 1},
                    "acceptance": {"value": 0.75, "low": 0.531, "high": 0.888, "n": 20},
                }
            ],
        }
    ],
    "alarms": [],
}
_MODEL_VIEW: Final = {
    "info": MODEL,
    "intended_use": "Research software. Not a medical device.",
    "scope": _SCOPE,
    "concepts": [
        {
            "key": "nodule",
            "names": {"en": ["nodule"], "zh": ["结节"]},
            "code_scheme": "SCT",
            "code": "786838002",
            "code_meaning": "Nodule of lung",
        }
    ],
    "card": _CARD,
}

_CASE: Final = {
    "id": FINDING["similar"][0]["case"],
    "concept": "nodule",
    "domain": "chest radiograph",
    "side": "right",
    "zone": "upper zone",
    "longest_mm": 21.5,
    "appearance": ["round", "well-defined", "dense"],
    "source": "phantom",
    "synthetic": True,
    "has_thumbnail": True,
    "why_no_thumbnail": "",
    "box_xyxy_px": [38.4, 38.4, 89.6, 88.1],
}

REQUESTS: Final[dict[str, Any]] = {
    "POST /v1/studies/search": {"words": "PHANTOM", "limit": 50},
    "POST /v1/pacs/studies/search": {"source": "pacs", "patient_id": "PHANTOM-1", "study_date": "20260101-20260131"},
    "POST /v1/pacs/studies/pull": {"source": "pacs", "study_instance_uid": f"{UID}.1"},
    "POST /v1/reviews": {"job": _JOB, "seen_revision": 0, "entry": _ENTRY},
    "POST /v1/studies/{study}/sign": {"job": _JOB, "seen_revision": 1, "person_name": "Reader^Ann"},
}
"""What is sent as JSON, by route."""

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "POST /v1/ground": {"200": RESULT, "202": _JOB_QUEUED},
    "GET /v1/jobs/{job}": {"200": _JOB_DONE},
    "GET /v1/jobs/{job}/result": {"200": RESULT},
    "POST /v1/jobs/{job}/cancel": {"200": {**_JOB_QUEUED, "state": "cancelled"}},
    "GET /v1/studies": {"200": _PAGE},
    "POST /v1/studies": {"201": _STORED},
    "POST /v1/studies/search": {"200": _PAGE},
    "GET /v1/studies/{study}": {"200": _STUDY_VIEW},
    "GET /v1/studies/{study}/results": {
        "200": [
            {
                "job": _JOB,
                "study": _STUDY,
                "model_name": MODEL["name"],
                "model_version": MODEL["version"],
                "model_sha256": MODEL["sha256"],
                "queries": ["is there a nodule?"],
                "goes_beyond": None,
                "created": "2026-01-31T08:00:02Z",
                "reports": 1,
                "signed_reports": 0,
                "presentation_states": 1,
                "overlays": 1,
            }
        ]
    },
    "GET /v1/studies/{study}/series": {
        "200": [
            {
                "series_instance_uid": f"{UID}.2",
                "stack": 1,
                "is_volume": False,
                "modality": "DX",
                "description": "Chest pa",
                "number": 1,
                "instances": [_INSTANCE],
            }
        ]
    },
    "GET /v1/pacs/sources": {"200": ["pacs"]},
    "GET /v1/pacs/destinations": {"200": ["pacs"]},
    "GET /v1/pacs/studies": {"200": _FOUND},
    "POST /v1/pacs/studies/search": {"200": _FOUND},
    "POST /v1/pacs/studies/pull": {"201": _STORED},
    "GET /v1/reviews": {"200": _REVIEWED},
    "POST /v1/reviews": {"201": _REVIEWED},
    "POST /v1/studies/{study}/sign": {
        "201": {"job": _JOB, "revision": 2, "sop_instance_uid": f"{UID}.9", "findings": 1, "destinations": ["pacs"]}
    },
    "GET /v1/me": {"200": _ME},
    "GET /v1/model": {"200": _MODEL_VIEW},
    "GET /v1/model/card": {"200": {**_CARD, "facts": {"format": 1, "title": "medground compact"}}},
    "GET /v1/model/drift": {"200": _DRIFT},
    "GET /v1/model/cases/{case}": {"200": _CASE},
    "GET /v1/audit": {"200": _AUDIT},
    "GET /healthz": {"200": {"status": "ok"}},
    "GET /readyz": {
        "200": {"ready": True, "parts": {"database": "ok", "files": "ok", "model": "ok", "dispatcher": "ok"}},
        "503": {"ready": False, "parts": {"database": "does not answer", "files": "ok"}},
    },
}
"""What is answered as JSON, by route and status."""


def add_examples(document: dict[str, Any]) -> None:
    """Put the examples into an OpenAPI document.

    Args:
        document: changed in place.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            route = f"{method.upper()} {path}"
            if route in REQUESTS:
                operation["requestBody"]["content"]["application/json"]["example"] = REQUESTS[route]
            for status, example in ANSWERS.get(route, {}).items():
                operation["responses"][status]["content"]["application/json"]["example"] = example
