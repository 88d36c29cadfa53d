"""The chapters of a card, in the order in which a reader needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medground.cards.blocks import Block, Bullets, Leads, Picture, Section, Table, Words
from medground.cards.contents import CardFacts, DataFacts, Failure
from medground.cards.result_sections import result_sections
from medground.cards.rounding import shown


def sections_of(facts: CardFacts) -> tuple[Section, ...]:
    """Every chapter; the first has the title of the card and level 1."""
    chapters = (
        _opening(facts),
        Section("Weaknesses", (Bullets(tuple(weakness.words for weakness in facts.weaknesses)),)),
        Section("Intended use", (Bullets(facts.intended_use), Words("Who it is for:"), Bullets(facts.users))),
        Section("What it is not for", (Bullets(facts.out_of_scope),)),
        Section("What it was never shown", (Bullets(facts.never_shown),)),
        Section("Oversight", (Bullets(facts.oversight), Words(_thresholds(facts)))),
        *result_sections(facts),
        *_failures(facts),
        *_training(facts),
        _compute(facts),
        Section("Ethical notes", (Bullets(facts.ethics),)),
        _versions(facts),
        Section("Contact", (Words(facts.developer), Words(facts.contact))),
        Section("History", (_history(facts),)),
    )
    return (*chapters, *_checklist(facts, [chapter.title for chapter in chapters]))


def _opening(facts: CardFacts) -> Section:
    model = facts.model
    rows = (
        ("name and version", f"{model.name} {model.version}"),
        ("SHA-256 of the manifest", model.sha256),
        ("kind", model.kind),
        ("parameters", shown(model.parameters)),
        ("weights, bytes", shown(model.weights_bytes)),
        ("long side of what it sees, pixels", shown(model.image_size_px)),
        ("trained on", ", ".join(model.trained_on)),
        ("questions in", ", ".join(model.languages)),
        ("licence", model.licence),
    )
    return Section(
        f"{facts.title} {model.version}",
        (Words(facts.regulatory, loud=True), Words(facts.summary), Table(("", ""), rows, words=2)),
        level=1,
    )


def _thresholds(facts: CardFacts) -> str:
    at = facts.thresholds
    return (
        f'It says "found" from a probability of {shown(at.found, "setting")} on and "not found" up to '
        f'{shown(at.not_found, "setting")}; between them it says "uncertain". Boxes below a score of '
        f"{shown(at.least_score, 'setting')} are not shown. An image is not answered if its kind is less certain than "
        f"{shown(at.least_certainty_of_kind, 'setting')}, or if it is less typical of the training images than "
        f"{shown(at.least_familiarity, 'setting')}."
    )


def _failures(facts: CardFacts) -> Iterator[Section]:
    if facts.known_failures:
        pictures = tuple(_picture(failure) for failure in facts.known_failures)
        intro = Words(
            "On phantoms, for pictures of patients never leave: the largest miss of each of the rarest findings, and "
            "the surest false boxes. Blue is the truth, orange is what the model boxes."
        )
        yield Section("Known failures", (intro, *pictures))


def _picture(failure: Failure) -> Block:
    score = "" if failure.score is None else f" Score {shown(failure.score)}, overlap {shown(failure.overlap)}."
    words = f"{failure.words}{score} {failure.image_id}."
    return Picture(failure.picture, words) if failure.picture else Words(words)


def _training(facts: CardFacts) -> Iterator[Section]:
    yield Section("Training data", tuple(block for data in facts.training_data for block in _data(data)))
    rows = tuple(
        (
            row.name,
            row.domain.value,
            shown(row.real_boxes),
            shown(row.synthetic_boxes),
            shown(row.boxes),
            shown(row.images),
            "yes" if row.rare else "no",
        )
        for row in facts.classes
    )
    heads = ("finding", "kind of image", "real boxes", "synthetic boxes", "boxes", "images", "rare")
    yield Section("Findings in training", (Table(heads, rows, words=2),), 3)
    pools = tuple((pool.name, shown(pool.images), shown(pool.boxes)) for pool in facts.pools)
    if pools:
        yield Section("What samples were drawn from", (Table(("pool", "images", "boxes"), pools),), 3)
    yield Section("Stages of training", tuple(_stages(facts)))


def _data(data: DataFacts) -> Iterator[Block]:
    made = "Made by code." if data.synthetic else "Real images."
    yield Words(f"{data.title}. {made}")
    yield Bullets(
        (
            f"Who is in it: {data.who}",
            f"Who and what is not: {data.not_in}",
            f"Licence: {data.licence}",
            f"Cite: {data.cite}",
            f"Source: {data.source}",
        )
    )
    if data.parts:
        rows = tuple(
            (
                part,
                shown(count.images),
                shown(count.patients),
                shown(count.boxes),
            )
            for part, count in data.parts.items()
        )
        yield Table(("part", "images", "patients", "boxes"), rows)
        if any(count.boxes is not None and count.patients is None for count in data.parts.values()):
            yield Words("Its source names no patients: how many there are is not known.")
    check = data.leak_check
    if check:
        yield Words(
            f"Leak check: {shown(check.images)} images compared, {shown(check.leaks)} leaks left. {check.words}"
        )
    elif data.parts:
        yield Words("Leak check: not run for this card. Training refuses parts that share a patient or a film.")


def _stages(facts: CardFacts) -> Iterator[Block]:
    stages = facts.stages
    if not stages:
        yield Words("The bundle does not say how it was trained.")
        return
    yield Table(
        ("stage", "what for", "learns", "sees", "steps"),
        tuple(
            (s.name, s.words, ", ".join(s.trainable), ", ".join(s.pools) or "everything", shown(s.steps))
            for s in stages
        ),
        words=4,
    )
    names = sorted({name for stage in stages for name in stage.settings})
    names = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    rows = tuple((name, *(shown(stage.settings.get(name), "setting") for stage in stages)) for name in names)
    yield Table(("setting", *(stage.name for stage in stages)), rows)


def _compute(facts: CardFacts) -> Section:
    compute = facts.compute
    rows = (
        ("recipe", shown(compute.recipe)),
        ("SHA-256 of the recipe", shown(compute.recipe_sha256)),
        ("seed", shown(compute.seed, "setting")),
        ("images a step", shown(compute.batch)),
        ("seconds of the last call", shown(compute.last_call_seconds, "setting")),
    )
    return Section("Compute", (Words(compute.words), Table(("", ""), rows, words=2)))


def _versions(facts: CardFacts) -> Section:
    v = facts.versions
    commit = (
        f"{v.commit}{', with changes that were not committed' if v.uncommitted else ''}" if v.commit else "not known"
    )
    rows = (
        ("trained with", ", ".join(f"{name} {version}" for name, version in v.training.items()) or "not known"),
        ("collected with medground", v.medground),
        ("collected at commit", commit),
        ("collected with Python", v.python),
        ("collected on system", f"{v.system}, {v.machine}, {v.cpu}"),
        ("evidence collected on", v.collected_on),
    )
    packages = tuple(sorted(v.packages.items()))
    return Section("Versions", (Table(("", ""), rows, words=2), Table(("package", "version"), packages, words=2)))


def _history(facts: CardFacts) -> Table:
    rows = tuple((change.version, change.date, change.words) for change in facts.changes)
    return Table(("version", "date", "what changed"), rows, words=3)


def _checklist(facts: CardFacts, titles: Sequence[str]) -> Iterator[Section]:
    if facts.checklist:
        rows = tuple(
            (
                item.guideline,
                item.item,
                item.words,
                Leads(tuple((t, titles.index(t)) for t in item.headings if t in titles), item.answered),
            )
            for item in facts.checklist
        )
        yield Section("Checklists", (Table(("guideline", "item", "asks", "answered"), rows, words=4),))
