from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medground.cards.collect import write_evidence
from medground.cards.keys import make_key_pair
from medground.cli.main import create_app
from medground.evaluation.scene import ENDING, save_scene
from medground.model.bundle_facts import shipped_bundle_path
from medground.tracking.runs import open_run
from tests.cards.made_evidence import four_films, made_evidence

BUNDLE = str(shipped_bundle_path())


def run(*words: str | Path) -> tuple[int, str]:
    found = CliRunner().invoke(create_app(), ["card", "export", *map(str, words)])
    return found.exit_code, " ".join(found.output.split())


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    write_evidence(made_evidence(), tmp_path / "evidence")
    return tmp_path / "evidence"


def test_one_command_writes_a_card_that_is_signed_recorded_and_whole(evidence, tmp_path):
    app = create_app()
    assert CliRunner().invoke(app, ["card", "keygen", "--out", str(tmp_path / "keys")]).exit_code == 0
    key, public = tmp_path / "keys" / "card-key.pem", tmp_path / "keys" / "card-key.pub"
    log, out = f"sqlite:///{tmp_path / 'audit.db'}", tmp_path / "card"
    code, said = run(
        *("--bundle", BUNDLE, "--evidence", evidence, "--key", key, "--database", log, "--out", out),
        *("--anchor", tmp_path / "anchors"),
    )
    assert code == 0, said
    assert "signed and recorded" in said
    asked = [
        "card",
        "verify",
        str(out),
        "--trust",
        str(public),
        "--audit-log",
        log,
        "--anchor",
        str(tmp_path / "anchors"),
    ]
    verified = CliRunner().invoke(app, asked)
    assert verified.exit_code == 0, verified.output
    again = CliRunner().invoke(app, [*asked, "--recompute"])
    assert (again.exit_code, "every number was computed again" in again.output) == (0, True)
    changed = four_films().images[0].model_copy(update={"detections": ()})
    scene = out / "evidence" / "scenes" / f"films{ENDING}"
    save_scene(four_films().model_copy(update={"images": (changed, *four_films().images[1:])}), scene)
    again = CliRunner().invoke(app, [*asked, "--recompute", "--json"])
    assert again.exit_code == 2
    named = [(one["kind"], one["words"]) for one in json.loads(again.stdout)["findings"]]
    assert "changed" in [kind for kind, _ in named]
    assert any(kind == "number" and "ap50.value (films, nodule)" in words for kind, words in named)


def test_a_draft_is_written_only_if_asked_for(evidence, tmp_path):
    words = ("--bundle", BUNDLE, "--evidence", evidence, "--out", tmp_path / "card")
    code, said = run(*words)
    assert (code, "--unsigned" in said) == (2, True)
    assert not (tmp_path / "card").exists()
    code, said = run(*words, "--unsigned")
    assert (code, "not signed" in said) == (0, True)
    assert not (tmp_path / "card" / "card.sig").exists()


def test_evidence_of_another_model_is_refused(evidence, tmp_path):
    other = tmp_path / "bundle"
    shutil.copytree(BUNDLE, other)
    manifest = json.loads((other / "manifest.json").read_bytes())
    (other / "manifest.json").write_text(json.dumps({**manifest, "version": "9.9.9"}))
    code, said = run("--bundle", other, "--evidence", evidence, "--unsigned", "--out", tmp_path / "card")
    assert (code, "collect evidence for this bundle" in said) == (2, True)


def test_without_evidence_that_of_the_card_beside_the_bundle_is_taken(evidence, tmp_path):
    shutil.copytree(BUNDLE, tmp_path / "model")
    words = ("--bundle", tmp_path / "model", "--unsigned", "--out", tmp_path / "card")
    code, said = run(*words)
    assert (code, "needs --evidence" in said) == (2, True)
    shutil.copytree(evidence, tmp_path / "model_card" / "evidence")
    code, said = run(*words)
    assert (code, "measured on films" in said) == (0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name what the card is of"),
        (("--bundle", BUNDLE, "--run", "shipped"), "name what the card is of"),
    ],
)
def test_what_is_missing_is_said(tmp_path, words, told):
    code, said = run(*words, "--unsigned", "--out", tmp_path / "card")
    assert (code, told in said) == (2, True)


@pytest.mark.parametrize("name", ["absent", "."])
def test_an_anchor_key_that_cannot_be_read_is_named(evidence, tmp_path, name):
    private, _ = make_key_pair(tmp_path / "keys")
    code, said = run(
        *("--bundle", BUNDLE, "--evidence", evidence, "--key", private, "--out", tmp_path / "card"),
        *("--database", f"sqlite:///{tmp_path / 'audit.db'}", "--anchor", tmp_path / "anchors"),
        *("--anchor-key", tmp_path / name),
    )
    assert (code, f"--anchor-key {tmp_path / name} cannot be read" in said) == (2, True)
    assert not (tmp_path / "card").exists()


@pytest.mark.slow
def test_a_run_that_keeps_its_bundle_and_its_evaluation_is_enough(tmp_path):
    home = tmp_path / "mlruns"
    digest = hashlib.sha256((shipped_bundle_path() / "manifest.json").read_bytes()).hexdigest()
    scene = tmp_path / f"films{ENDING}"
    save_scene(four_films().model_copy(update={"system": f"medground-compact ({digest[:12]})"}), scene)
    with open_run(home, "medground", "shipped") as log:
        log.register(shipped_bundle_path(), "medground-compact", "newest")
        with log.child("evaluation films", kind="evaluation") as child:
            child.artifact(scene)
    code, said = run("--run", "shipped", "--mlruns", home, "--unsigned", "--out", tmp_path / "card")
    assert code == 0, said
    facts = json.loads((tmp_path / "card" / "facts.json").read_bytes())
    assert (facts["model"]["sha256"], facts["evaluations"][0]["n_images"]) == (digest, 4)
    assert "patient-a" not in (tmp_path / "card" / "evidence" / "images.json").read_text()
    with open_run(home, "medground", "twice") as log:
        log.register(shipped_bundle_path(), "medground-compact", "newest")
        for name in ("evaluation films", "evaluation films again"):
            with log.child(name, kind="evaluation") as child:
                child.artifact(scene)
    code, said = run("--run", "twice", "--mlruns", home, "--unsigned", "--out", tmp_path / "again")
    assert (code, "keeps two scenes of one part" in said) == (2, True)
