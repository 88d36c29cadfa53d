"""`croissant.json`: the data that the model was trained and measured on, as far as the evidence describes them.

The images themselves are not in a card. Its files are the scenes (truth and predictions of what was measured) and the
cards of the data sets; the numbers stand as records in the file itself.

Source: MLCommons Croissant Format Specification 1.0; Croissant RAI 1.0 for who is in the data and who is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

from medground.cards.contents import CardFacts, EvidenceFile
from medground.cards.forms.figures import part_of
from medground.cards.forms.reading import NotPlainError, has_members, parse_json, values_of, written_json
from medground.data.cards.croissant_context import CONFORMS_TO, CONTEXT, Json
from medground.data.cards.stated import NOT_STATED

DATA_SETS, PARTS, FINDINGS, MEASURED, MARKED = "data_sets", "parts", "findings", "measured", "marked"
TEXT, INTEGER, BOOLEAN = "sc:Text", "sc:Integer", "sc:Boolean"
_ENCODINGS = {".json": "application/json", ".gz": "application/gzip"}
_MEMBERS = MappingProxyType(
    {
        "@context": dict,
        **dict.fromkeys(("@type", "conformsTo", "name", "description", "version", "datePublished"), str),
        "creator": dict,
        "license": list,
        "citeAs": str,
        "isBasedOn": list,
        "rai:dataCollection": str,
        **dict.fromkeys(("rai:dataLimitations", "rai:personalSensitiveInformation", "distribution", "recordSet"), list),
    }
)
_DESCRIBED = ("evidence/scenes/", "evidence/data_cards/", "evidence/images.json")


def croissant_of(facts: CardFacts) -> bytes:
    """The data of the card as JSON-LD; equal facts give equal bytes.

    Args:
        facts: of the card.
    """
    data = facts.training_data
    return written_json(
        {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": CONFORMS_TO,
            "name": f"{facts.model.name} {facts.model.version}: data",
            "description": f"What {facts.title} {facts.model.version} was trained and measured on.",
            "version": f"0.0.0+{facts.model.sha256[:12]}",
            "datePublished": facts.versions.collected_on,
            "creator": {"@type": "sc:Organization", "name": facts.developer},
            "license": sorted({one.licence for one in data}) or [NOT_STATED],
            "citeAs": "; ".join(one.cite for one in data) or NOT_STATED,
            "isBasedOn": [one.source for one in data],
            "rai:dataCollection": "\n".join(f"{one.title}: {one.who}" for one in data),
            "rai:dataLimitations": [f"{one.title}: {one.not_in}" for one in data],
            "rai:personalSensitiveInformation": list(facts.ethics),
            "distribution": [_file(file) for file in facts.files if file.path.startswith(_DESCRIBED)],
            "recordSet": [
                *_filled(DATA_SETS, "The data sets that it was trained on.", list(_data_sets(facts))),
                *_filled(PARTS, "What of them was used for what.", list(_parts(facts))),
                *_filled(FINDINGS, "How much of each finding was trained on.", list(_findings(facts))),
                *_filled(MEASURED, "What it was measured on.", list(_measured(facts))),
                *_filled(MARKED, "How much of each finding is marked there.", list(_marked(facts))),
            ],
        }
    )


def croissant_problems(content: bytes) -> list[str]:
    """What is wrong with a `croissant.json`, as far as can be seen without the library of the format.

    Args:
        content: of the file.

    Returns:
        Whether it is no Croissant 1.0, names a part twice, or has records that are not as its fields say.
    """
    try:
        tree = parse_json(content)
    except NotPlainError as error:
        return [str(error)]
    if not has_members(tree, _MEMBERS) or (tree["conformsTo"], tree["@context"]) != (CONFORMS_TO, CONTEXT):
        return ["it is no Croissant 1.0 of medground"]
    found = []
    parts = [*_objects(tree.get("distribution")), *_objects(tree.get("recordSet"))]
    names = [part["@id"] for part in parts if isinstance(part.get("@id"), str)]
    names += [field["@id"] for fields in values_of(parts, "field") for field in fields]
    if len(names) != len(set(names)):
        found.append("it names a part twice")
    for records in _objects(tree.get("recordSet")):
        found += _unlike(records)
    if written_json(tree) != content:
        found.append("it is written in another form")
    return found


_PYTHON = {TEXT: str, INTEGER: int, BOOLEAN: bool}


def _unlike(records: Json) -> Iterator[str]:
    fields = {field.get("@id"): field.get("dataType") for field in _objects(records.get("field"))}
    for n, row in enumerate(_objects(records.get("data"))):
        if list(row) != list(fields):
            yield f"record {n} of {records.get('@id')} has other fields than it should"
        elif any(type(value) is not _PYTHON.get(str(fields[name])) for name, value in row.items()):
            yield f"record {n} of {records.get('@id')} has a value of another type than it should"


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _file(file: EvidenceFile) -> Json:
    ending = file.path[file.path.rindex(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": _ENCODINGS.get(ending, "application/octet-stream"),
        "sha256": file.sha256,
    }


def _filled(name: str, description: str, rows: Sequence[Json]) -> list[Json]:
    """A record set, or none where nothing is known: one without records would say that there is nothing."""
    return [_records(name, description, rows)] if rows else []


def _records(name: str, description: str, rows: Sequence[Json]) -> Json:
    types = {str: TEXT, int: INTEGER, bool: BOOLEAN}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{key}", "name": f"{name}/{key}", "dataType": types[type(value)]}
            for key, value in rows[0].items()
        ],
        "data": [{f"{name}/{key}": value for key, value in row.items()} for row in rows],
    }


def _data_sets(facts: CardFacts) -> Iterator[Json]:
    for one in facts.training_data:
        check = one.leak_check
        yield {
            "key": one.key,
            "title": one.title,
            "licence": one.licence,
            "source": one.source,
            "cite": one.cite,
            "synthetic": one.synthetic,
            "leak_check": f"{check.images} images compared, {check.leaks} leaks" if check else NOT_STATED,
        }


def _parts(facts: CardFacts) -> Iterator[Json]:
    """Counts as words: one that nobody made is not nought."""
    for one in facts.training_data:
        for part, count in one.parts.items():
            yield {
                "data_set": one.key,
                "part": part,
                "images": count.images,
                "patients": NOT_STATED if count.patients is None else str(count.patients),
                "boxes": NOT_STATED if count.boxes is None else str(count.boxes),
            }


def _findings(facts: CardFacts) -> Iterator[Json]:
    for row in facts.classes:
        yield {
            "concept": row.concept,
            "name": row.name,
            "kind_of_image": row.domain.value,
            "images": row.images,
            "boxes": row.boxes,
            "real_boxes": row.real_boxes,
            "synthetic_boxes": row.synthetic_boxes,
        }


def _measured(facts: CardFacts) -> Iterator[Json]:
    for one in facts.evaluations:
        yield {
            "part": one.name,
            "data": part_of(one),
            "synthetic": one.synthetic,
            "images": one.n_images,
            "patients": one.n_patients,
            "scene": f"evidence/scenes/{one.name}.scene.json.gz",
        }


def _marked(facts: CardFacts) -> Iterator[Json]:
    for one in facts.evaluations:
        for row in one.concepts:
            yield {"part": one.name, "concept": row.concept, "images": row.n_images, "boxes": row.n_boxes}
