"""What a store keeps of earlier work: the finished run of a tag, and the evaluations of a run with their figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medground.tracking.figures import Figure, from_metrics
from medground.tracking.runs import KIND_TAG, PARENT_TAG, find_family
from medground.tracking.store import open_store


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A measurement whose figures a run keeps.

    Attributes:
        name: of the child run, such as `evaluation limb`.
        system: what was measured; empty where it was not kept.
        data: name of the data set and its part; empty where it was not kept.
        images: how many; None where it was not kept.
        figures: by name.
    """

    name: str
    system: str
    data: str
    images: int | None
    figures: Mapping[str, Figure]


def find_evaluations(home: Path, experiment: str, run: str) -> list[Evaluation]:
    """The evaluations of a run that hold figures, in the order they were begun.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment.
        run: id of a run, or its name; of several so named, the newest.

    Raises:
        UsageError: if the store holds no such run.
    """
    found = []
    for member in find_family(home, experiment, run):
        figures = {figure.name: figure for figure in from_metrics(member.data.metrics)}
        if figures and member.data.tags.get(KIND_TAG) == "evaluation":
            told = member.data.params
            images = int(told["images"]) if told.get("images", "").isdecimal() else None
            name = str(member.info.run_name)
            found.append(Evaluation(name, told.get("system", ""), told.get("data", ""), images, figures))
    return found


def finished_run(home: Path, experiment: str, tag: str, value: str) -> str | None:
    """The id of a finished parent run with a tag; what has that tag and is in no such run is deleted.

    A child that is finished says nothing: its parent may have been killed over the next.
    """
    client, experiment_id = open_store(home, experiment)
    tagged = client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'")
    whole = {
        str(run.info.run_id) for run in tagged if run.info.status == "FINISHED" and not run.data.tags.get(PARENT_TAG)
    }
    for run in tagged:
        if run.data.tags.get(PARENT_TAG, run.info.run_id) not in whole:
            client.delete_run(run.info.run_id)
    return next(iter(sorted(whole)), None)
