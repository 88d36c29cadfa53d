"""A card as a whole: nothing is said of a good one, and each kind of edit is told with its file."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cards.card_file import write_card
from medground.cards.contents import CardFacts
from medground.cards.export import FORMS
from medground.cards.findings import Finding, Kind
from medground.cards.keys import load_signing_key, make_key_pair, trusted_keys
from medground.cards.layout import Limits
from medground.cards.record import record_export
from medground.cards.signing import sign_directory
from medground.cards.verify import verify
from medground.schema.errors import InputNotFoundError, LimitError
from tests.audit.chains import Clock
from tests.cards.small_card import EXPORTED_AT, MODEL, SmallCard, copied, write_forms


def kinds(card: SmallCard, directory: Path) -> list[tuple[str, Kind]]:
    return [(finding.file, finding.kind) for finding in verify(directory, [card.key]).findings]


def test_a_whole_card(card: SmallCard, tmp_path: Path) -> None:
    for directory in (card.directory, copied(card, tmp_path)):
        found = verify(directory, [*trusted_keys(), card.key])
        assert found.is_whole
        assert found.signer == card.key
        assert (found.files, found.size_bytes) == (
            14,
            sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()),
        )
        assert found.card is not None
        assert found.card.model == MODEL
        assert found.audit is not None
        assert found.audit.record.sequence == 4


def append(name: str) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        with (directory / name).open("ab") as file:
            file.write(b"\n")

    return edit


def remove(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def add(name: str) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("new")

    return edit


def put_link(directory: Path) -> None:
    (directory / "README.md").rename(directory.parent / "outside.md")
    (directory / "README.md").symlink_to(directory.parent / "outside.md")


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (append("facts.json"), [("facts.json", Kind.CHANGED)]),
        (append("evidence/empty.txt"), [("evidence/empty.txt", Kind.CHANGED)]),
        (append("card.json"), [("card.json", Kind.CHANGED), ("card.json", Kind.SCHEMA)]),
        (append("card.sig"), [("audit.json", Kind.CHAIN), ("card.sig", Kind.SIGNATURE)]),
        (append("audit.json"), [("audit.json", Kind.CHAIN)]),
        (remove("facts.json"), [("facts.json", Kind.MISSING)]),
        (remove("card.json"), [("card.json", Kind.MISSING)]),
        (remove("card.sig"), [("audit.json", Kind.CHAIN), ("card.sig", Kind.MISSING)]),
        (remove("audit.json"), [("audit.json", Kind.MISSING)]),
        (add("evidence/more.json"), [("evidence/more.json", Kind.ADDED)]),
        (add(".hidden"), [(".hidden", Kind.ADDED)]),
        (add("trusted_keys/key.pub"), [("trusted_keys/key.pub", Kind.ADDED)]),
        (lambda directory: (directory / "empty").mkdir(), [("empty", Kind.ADDED)]),
        (put_link, [("README.md", Kind.LINK), ("README.md", Kind.MISSING)]),
    ],
)
def test_each_edit_is_told_with_its_file(
    card: SmallCard, tmp_path: Path, edit: Callable[[Path], None], wanted: list[tuple[str, Kind]]
) -> None:
    copy = copied(card, tmp_path)
    edit(copy)
    assert kinds(card, copy) == wanted


def test_a_damaged_signature_leaves_the_list_of_files(card: SmallCard, tmp_path: Path) -> None:
    copy = copied(card, tmp_path)
    (copy / "card.sig").write_text("{}")
    append("facts.json")(copy)
    remove("README.md")(copy)
    add("more.txt")(copy)
    assert kinds(card, copy) == [
        ("README.md", Kind.MISSING),
        ("audit.json", Kind.CHAIN),
        ("card.sig", Kind.SIGNATURE),
        ("facts.json", Kind.CHANGED),
        ("more.txt", Kind.ADDED),
    ]


def signed_anew(copy: Path, private: Path, database: Path) -> None:
    """Edit a number in every form, and make everything fit again with a key."""
    facts = CardFacts.model_validate_json((copy / "facts.json").read_bytes())
    (one,) = facts.evaluations
    better = one.model_copy(update={"mean_ap50": one.mean_ap50.model_copy(update={"value": 0.9375})})
    write_forms(copy, facts.model_copy(update={"evaluations": (better,)}))
    key, engine = load_signing_key(private), create_engine(f"sqlite:///{database}")
    create_tables(engine)
    write_card(copy, MODEL, EXPORTED_AT)
    sign_directory(copy, key)
    record_export(copy, key, AuditLog(engine, Clock()), None, Clock())
    engine.dispose()


def test_a_card_signed_anew_with_another_key_is_refused(card: SmallCard, tmp_path: Path) -> None:
    copy = copied(card, tmp_path)
    private, public = make_key_pair(tmp_path / "key")
    signed_anew(copy, private, tmp_path / "audit.db")
    other = load_signing_key(private).public
    assert verify(copy, [other]).is_whole  # the forgery itself is without a fault
    [finding] = verify(copy, [card.key]).findings
    assert (finding.file, finding.kind) == ("card.sig", Kind.UNTRUSTED_KEY)
    assert other.fingerprint in finding.words
    assert kinds(card, copy) == [(finding.file, finding.kind) for finding in verify(copy, trusted_keys()).findings]
    assert verify(copy, []).findings[0].words.endswith("trusted: nobody")
    shutil.copy(public, copy / "card-key.pub")
    assert kinds(card, copy) == [("card-key.pub", Kind.ADDED), ("card.sig", Kind.UNTRUSTED_KEY)]


def test_a_card_signed_anew_in_the_name_of_a_trusted_key_is_refused(card: SmallCard, tmp_path: Path) -> None:
    copy = copied(card, tmp_path)
    private, _ = make_key_pair(tmp_path / "key")
    signed_anew(copy, private, tmp_path / "audit.db")
    own = load_signing_key(private).public.fingerprint.encode()
    signature = copy / "card.sig"
    signature.write_bytes(signature.read_bytes().replace(own, card.key.fingerprint.encode()))
    assert ("card.sig", Kind.SIGNATURE) in kinds(card, copy)


def test_an_older_card_in_place_of_its_parts(card: SmallCard, tmp_path: Path) -> None:
    """Signature and entry of another genuine card do not help: all three belong together."""
    copy = copied(card, tmp_path)
    signed_anew(copy, card.private, tmp_path / "audit.db")
    assert kinds(card, copy) == []
    shutil.copy(card.directory / "audit.json", copy)
    assert kinds(card, copy) == [("audit.json", Kind.CHAIN)]
    shutil.copy(card.directory / "card.sig", copy)
    with_the_number = ["card.json", *(name for name, _ in FORMS if name != "croissant.json")]
    assert kinds(card, copy) == [(name, Kind.CHANGED) for name in sorted(with_the_number)]


def test_a_signature_with_its_other_half_is_found(card: SmallCard, tmp_path: Path) -> None:
    """(r, n - s) is as valid as (r, s), and can be written without the key."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    copy = copied(card, tmp_path)
    members = json.loads((copy / "card.sig").read_bytes())
    [signature] = members["dsseEnvelope"]["signatures"]
    r, s = decode_dss_signature(base64.b64decode(signature["sig"]))
    order = 2**256 - 2**224 + 2**192 - 89188191075325690597107910205041859247  # FIPS 186-4 D.1.2.3
    signature["sig"] = base64.b64encode(encode_dss_signature(r, order - s)).decode()
    (copy / "card.sig").write_text(json.dumps(members, separators=(",", ":")))
    assert verify(copy, [card.key]).signer == card.key
    assert kinds(card, copy) == [("audit.json", Kind.CHAIN)]


def test_a_list_that_is_wrong_from_the_start_is_told(card: SmallCard, tmp_path: Path) -> None:
    """Signed by a trusted key, and `card.json` does not fit the files."""
    copy, key = copied(card, tmp_path), load_signing_key(card.private)
    append("facts.json")(copy)
    sign_directory(copy, key)
    [chain, changed] = verify(copy, [card.key]).findings
    assert (chain.kind, changed.kind) == (Kind.CHAIN, Kind.CHANGED)
    assert changed == Finding("facts.json", Kind.CHANGED, "it is not what it was when it was exported, by card.json")


def test_schemas_are_asked_of_whole_files(card: SmallCard, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def check(content: bytes) -> list[str]:
        seen.append(content)
        return ["no mean is there", "no class is there"]

    copy = copied(card, tmp_path)
    found = verify(copy, [card.key], schemas={"facts.json": check, "absent.xml": check})
    assert [(one.file, one.kind, one.words) for one in found.findings] == [
        ("facts.json", Kind.SCHEMA, "no class is there"),
        ("facts.json", Kind.SCHEMA, "no mean is there"),
    ]
    assert seen == [(copy / "facts.json").read_bytes()]
    append("facts.json")(copy)
    changed = verify(copy, [card.key], schemas={"facts.json": check})
    assert [one.kind for one in changed.findings] == [Kind.CHANGED]
    assert len(seen) == 1


def test_what_nobody_trusted_signed_is_not_parsed(card: SmallCard, tmp_path: Path) -> None:
    """Neither of another's card nor of one without a signature."""

    def check(content: bytes) -> list[str]:
        raise AssertionError(f"{len(content)} bytes of nobody who is trusted were parsed")

    schemas = dict.fromkeys(("facts.json", "README.md", "chai.xml"), check)
    with pytest.raises(AssertionError):
        verify(card.directory, [card.key], schemas=schemas)
    assert [one.kind for one in verify(card.directory, [], schemas=schemas).findings] == [Kind.UNTRUSTED_KEY]
    copy = copied(card, tmp_path)
    remove("card.sig")(copy)
    assert Kind.MISSING in {one.kind for one in verify(copy, [card.key], schemas=schemas).findings}


def test_findings_of_other_checks(card: SmallCard) -> None:
    found = verify(card.directory, [card.key])
    more = [Finding("facts.json", Kind.NUMBER, "b"), Finding("facts.json", Kind.NUMBER, "a")]
    assert found.with_findings(more).findings == (more[1], more[0])
    assert not found.with_findings(more).is_whole


def test_limits(card: SmallCard, tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="more than 5 files"):
        verify(card.directory, [card.key], limits=Limits(files=5))
    with pytest.raises(InputNotFoundError):
        verify(tmp_path / "absent", [card.key])


@settings(max_examples=60)
@given(st.data())
def test_every_other_byte_is_found_with_its_file(
    card: SmallCard, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = sorted(path for path in card.directory.rglob("*") if path.is_file() and path.stat().st_size)
    file = data.draw(st.sampled_from(files))
    content = file.read_bytes()
    at, value = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    copy = copied(card, tmp_path_factory.mktemp("edited"))
    name = file.relative_to(card.directory).as_posix()
    (copy / name).write_bytes(content[:at] + bytes([content[at] ^ value]) + content[at + 1 :])
    assert name in {finding.file for finding in verify(copy, [card.key]).findings}


def test_a_check_imports_nothing_heavy() -> None:
    """Neither what signs, nor a database, nor torch: it answers in a second."""
    code = "import sys, medground.cards.verify; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"model_signing", "sigstore", "sqlalchemy", "torch", "numpy", "mlflow"} & set(run.stdout.split())
