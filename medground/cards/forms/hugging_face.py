"""`README.md`: what the Hugging Face Hub reads of a model, and a short text for people.

Source: Hugging Face Hub, Model Cards, metadata and `model-index`; `huggingface_hub.repocard_data`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError

from medground.cards.contents import CardFacts
from medground.cards.forms.figures import Figure, error_figures_of, figures_of, part_of
from medground.cards.forms.licences import spdx_id
from medground.cards.markdown import plain
from medground.cards.results import Evaluation
from medground.schema.config import StrictConfig

PIPELINE: Literal["zero-shot-object-detection"] = "zero-shot-object-detection"
TAGS = ("medical", "radiology", "visual-grounding")
FENCE = "---\n"
_LANGUAGES = {"English": "en", "Chinese": "zh", "German": "de", "French": "fr", "Spanish": "es", "Japanese": "ja"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(StrictConfig):
    model_config = ConfigDict(strict=True)


class Named(_Strict):
    """A task or a data set, by type and name."""

    type: str
    name: str


class Metric(_Strict):
    """A metric; `args` has what the format knows no place for: interval and n."""

    type: str
    name: str
    value: float
    args: dict[str, float | int]


class Result(_Strict):
    """What was measured on one data set."""

    task: Named
    dataset: Named
    metrics: list[Metric] = Field(min_length=1)


class Indexed(_Strict):
    """Results of a model."""

    name: str
    results: list[Result]


class FrontMatter(_Strict):
    """The YAML before the text."""

    license: str
    license_name: str | None = None
    language: list[str]
    library_name: Literal["medground"]
    pipeline_tag: Literal["zero-shot-object-detection"]
    tags: list[str]
    datasets: list[str]
    metrics: list[str]
    model_index: list[Indexed] | None = Field(default=None, alias="model-index")


def readme_of(facts: CardFacts) -> bytes:
    """The card for the Hub; equal facts give equal bytes.

    Args:
        facts: of the card.
    """
    return (FENCE + "\n".join(_yaml(_front_matter(facts))) + "\n" + FENCE + "\n".join(_text(facts))).encode()


def readme_problems(content: bytes) -> list[str]:
    """What is wrong with a `README.md`; nothing for one that this module could have written.

    Args:
        content: of the file.
    """
    try:
        before, front, body = content.decode().split(FENCE, 2)
        if before or not body.strip():
            return ["it does not begin with front matter, or nothing follows it"]
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(front, Loader=_LOADER)):
            return ["its front matter repeats a part by name, which could grow without end"]
        read = yaml.load(front, Loader=_LOADER)
        FrontMatter.model_validate(read)
        return [] if "\n".join(_yaml(read)) + "\n" == front else ["its front matter is written in another form"]
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:5]]
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        return [f"it has no front matter that can be read: {type(error).__name__}"]


def _front_matter(facts: CardFacts) -> dict[str, Any]:
    known = spdx_id(facts.model.licence)
    named = {"license": known.lower()} if known else {"license": "other", "license_name": facts.model.licence}
    results = [result for one in facts.evaluations if (result := _result(facts, one))]
    kinds = {metric["type"]: None for result in results for metric in result["metrics"]}
    return {
        **named,
        "language": [_LANGUAGES[name] for name in facts.model.languages if name in _LANGUAGES],
        "library_name": "medground",
        "pipeline_tag": PIPELINE,
        "tags": [*TAGS, *sorted({row.domain.value.lower().replace(" ", "-") for row in facts.classes})],
        "datasets": [data.title for data in facts.training_data],
        "metrics": list(kinds),
        **({"model-index": [{"name": facts.model.name, "results": results}]} if results else {}),
    }


def _result(facts: CardFacts, one: Evaluation) -> dict[str, Any] | None:
    metrics = [_metric(facts, figure) for figure in (*figures_of(facts, one), *error_figures_of(one))]
    if not metrics:
        return None
    return {
        "task": {"type": PIPELINE, "name": "Findings by question"},
        "dataset": {"type": one.name, "name": part_of(one)},
        "metrics": metrics,
    }


def _metric(facts: CardFacts, figure: Figure) -> dict[str, Any]:
    args: dict[str, float | int] = {"low": figure.low, "high": figure.high, "level": facts.method.level}
    if figure.images is not None:
        args["images"] = figure.images
    args[figure.unit] = figure.counted
    return {"type": figure.kind, "name": figure.words(facts.method), "value": figure.value, "args": args}


def _yaml(tree: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """YAML in blocks whose scalars are JSON, so that no version of a library writes it otherwise."""
    for key, value in tree.items():
        yield from _entry(f"{before}{key}:", value, " " * len(before))
        before = " " * len(before)


def _entry(start: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield start
        yield from _yaml(value, f"{indent}  ")
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        yield start
        for item in value:
            if isinstance(item, Mapping):
                yield from _yaml(item, f"{indent}- ")
            else:
                yield f"{indent}- {_scalar(item)}"
    else:
        yield f"{start} {_scalar(value)}"


def _scalar(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # YAML 1.1 takes 1e-05 for a word.
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _text(facts: CardFacts) -> Iterator[str]:
    model = facts.model
    yield ""
    yield f"# {plain(facts.title)} {plain(model.version)}"
    yield ""
    yield f"**{plain(facts.regulatory)}**"
    yield ""
    yield plain(facts.summary)
    yield ""
    yield (
        "[MODEL_CARD.md](MODEL_CARD.md) says what it is for and what not, what it learnt from, and how often it is "
        "wrong; [model_card.html](model_card.html) says the same with plots. Every number here follows from "
        "`evidence/` and can be computed again: `medground card verify . --recompute`."
    )
    if facts.weaknesses:
        yield ""
        yield "What to know first:"
        yield ""
        yield from (f"- {plain(weakness.words)}" for weakness in facts.weaknesses[:5])
    yield ""
