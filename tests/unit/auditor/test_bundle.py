"""A bundle is valid as it was exported, and INVALID for the first thing that is not as it must be."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gatekeeper.core.audit import canonical_json, commitment
from gatekeeper.core.export import (
    COLUMNS,
    FORMER,
    Absent,
    Counts,
    Dialect,
    Proofs,
    Selection,
    gap_line,
    proofs_document,
    read_proofs,
)
from gatekeeper.model.ids import HolderId
from gatekeeper.service.auditor import CannotCheckError, Fault, Known, Report, verify_bundle
from gatekeeper.service.auditor.findings import Stamped
from gatekeeper.service.words import counted
from gatekeeper.transparency import (
    Cosigner,
    Policy,
    Refusal,
    Tree,
    Verifier,
    leaf_hash,
    node_hash,
    parse_policy,
    parse_verifier,
    root_of,
    subtree_hashes,
)
from tests.support.bundles import (
    NOON,
    ORIGIN,
    OTHER_KEY,
    Asked,
    Log,
    Made,
    bundle_of,
    checkpoint_of,
    log_of,
    reader_of,
    written,
)

ENTRIES, OPENINGS, TABLE = "entries/000000000002.jsonl", "openings/000000000002.jsonl", "csv/000000000002.csv"
LOG = log_of(20, forgotten=lambda index: index == 4)
MADE = bundle_of(LOG, Asked(within=(3, 15)))


def checked(made: Made, folder: Path, **known: object) -> Report:
    return verify_bundle(written(made, folder), known=Known(**known))


def test_a_bundle_is_valid_as_it_was_exported(tmp_path: Path):
    report = checked(MADE, tmp_path)
    assert (report.finding, report.lacking, report.valid) == (None, [], True)
    assert report.counts == Counts(entries=14, personal=8, openings=7, rows=12)


@pytest.mark.parametrize("dialect", Dialect)
def test_a_bundle_of_before_is_valid_by_the_columns_that_it_has(dialect: Dialect, tmp_path: Path):
    before = bundle_of(LOG, Asked(within=(3, 15), csv=dialect, columns=FORMER))
    assert "columns" not in json.loads(before.members["manifest.json"])
    assert b"happened" not in before.members[TABLE]
    report = checked(before, tmp_path)
    assert (report.finding, report.valid, report.counts.rows) == (None, True, 12)


@pytest.mark.parametrize(("one", "other"), [(FORMER, len(COLUMNS)), (len(COLUMNS), FORMER)])
def test_a_table_has_the_columns_that_the_manifest_says(one: int, other: int, tmp_path: Path):
    """Who swaps the two hides a column, or shows one that was not told of."""
    asked = Asked(within=(3, 15), columns=one)
    swapped = bundle_of(LOG, replace(asked, columns=other)).members[TABLE]
    report = checked(bundle_of(LOG, asked).with_member(TABLE, swapped), tmp_path)
    assert report.finding is not None
    assert (report.finding.code, report.finding.member) == (Fault.TABLE, TABLE)


def test_contents_may_be_stored_or_deflated(tmp_path: Path):
    assert verify_bundle(written(MADE, tmp_path, compress=False)).valid
    assert verify_bundle(written(MADE, tmp_path, compress=True)).valid


@pytest.mark.parametrize("count", range(21))
def test_every_range_of_every_small_log_is_valid(tmp_path: Path, count: int):
    log = log_of(count)
    for first in range(count + 1):
        for last in {first, (first + count) // 2, count}:
            report = checked(bundle_of(log, Asked(within=(first, last))), tmp_path)
            assert (report.finding, report.lacking) == (None, []), (first, last)


FILTERS = [
    Selection(doors=("front-in",)),
    Selection(decisions=("denied",)),
    Selection(doors=("back-in",), decisions=("granted", "denied")[::-1]),
    Selection(holder=HolderId("h-2")),
    Selection(doors=("nowhere",)),
]


@pytest.mark.parametrize("selection", FILTERS)
@pytest.mark.parametrize("csv", [None, *Dialect])
def test_a_filtered_export_is_valid_and_says_what_it_does_not_prove(
    tmp_path: Path, selection: Selection, csv: Dialect | None
):
    report = checked(bundle_of(LOG, Asked(within=(3, 15), selection=selection, csv=csv)), tmp_path)
    assert report.finding is None
    assert report.counts.withheld > 0
    assert any("would pass the filter" in said for said in report.unchecked)


def test_who_was_forgotten_is_counted_as_closed(tmp_path: Path):
    everybody = bundle_of(log_of(20, forgotten=lambda _: True), Asked(within=(3, 15)))
    report = checked(everybody, tmp_path)
    assert report.finding is None
    assert (report.counts.personal, report.counts.openings) == (8, 0)
    assert "8 personal parts that are closed: forgotten, expired, or not asked for" in report.unchecked


def test_a_bundle_of_hashes_only_leaves_the_rest_out_and_says_so(tmp_path: Path):
    broken = MADE.with_member(TABLE, b"something else")
    report = verify_bundle(written(broken, tmp_path), hashes_only=True)
    assert report.finding is None
    assert "what the entries, openings and tables say: only hashes were asked for" in report.unchecked


# -- what expired ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("selection", [Selection(), FILTERS[0], FILTERS[3]])
@pytest.mark.parametrize(
    ("within", "expired"), [((0, 20), 1), ((0, 20), 13), ((0, 15), 15), ((5, 15), 9), ((5, 15), 5)]
)
def test_what_expired_is_given_as_hashes_that_lead_to_the_root(
    tmp_path: Path, within: tuple[int, int], expired: int, selection: Selection
):
    made = bundle_of(LOG, Asked(within=within, expired=expired, selection=selection))
    report = checked(made, tmp_path)
    assert (report.finding, report.lacking) == (None, [])
    start, end = made.manifest.range
    assert report.counts.entries + report.counts.withheld + expired - start == end - start
    says = (
        f"that the log let the first {counted(expired - start, 'entry', 'entries')} go, which are given as expired: the "
        "entries data.expired from 400 to 420 of the site's log would say so, and are not all checked here; gatekeeper "
        "audit prove shows one"
    )
    assert says in report.unchecked
    in_time = any("made within the times asked for" in said for said in report.unchecked)
    assert in_time is (within != (0, 20))


def test_where_no_entry_is_named_that_tells_of_it_that_is_said(tmp_path: Path):
    report = checked(bundle_of(LOG, Asked(within=(0, 20), expired=3, told_by=None)), tmp_path)
    assert report.finding is None
    assert any(said.endswith("given as expired: no entry is named that says so") for said in report.unchecked)


@pytest.mark.parametrize("size", range(1, 20))
def test_a_checkpoint_within_what_expired_follows_from_the_hashes_or_needs_a_proof(tmp_path: Path, size: int):
    made = bundle_of(LOG, Asked(within=(0, 20), expired=12))
    report = checked(made, tmp_path, notes=[("gate", checkpoint_of(LOG, size))])
    assert report.finding is None
    assert bool(report.lacking) is (size < 12)


EXPIRED = bundle_of(LOG, Asked(within=(0, 20), expired=12))
FIRST = "entries/000000000000.jsonl"


def _expired(start: int, end: int, *, why: Absent = Absent.EXPIRED) -> bytes:
    tree = Tree.empty()
    reader = reader_of([*tree.append(list(map(leaf_hash, LOG.bodies))), *tree.partial_tiles()])
    return gap_line(why, start, end, subtree_hashes(start, end, reader))


def _behind(*lines: bytes, made: Made = EXPIRED, shown: int = 12) -> Made:
    """These lines, and behind them the entries from the one that is shown first."""
    rest = [*LOG.bodies[shown:], made.members["export.json"], b""]
    return made.with_member(FIRST, b"\n".join([*lines, *rest]))


MISPLACED: list[tuple[str, Callable[[], Made], str]] = [
    ("less than is said", lambda: _behind(_expired(0, 11), shown=11), Fault.LINE_EXPIRED),
    ("more than is said", lambda: _behind(_expired(0, 13), shown=13), Fault.LINE_EXPIRED),
    ("in two lines", lambda: _behind(_expired(0, 8), _expired(8, 12)), Fault.LINE_EXPIRED),
    ("shown after all", lambda: _behind(*LOG.bodies[:12]), Fault.LINE_EXPIRED),
    ("behind an entry", lambda: _behind(LOG.bodies[0], _expired(1, 12)), Fault.LINE_EXPIRED),
    ("as withheld", lambda: _behind(_expired(0, 12, why=Absent.WITHHELD)), Fault.LINE_GAP),
    ("later once more", lambda: _behind(_expired(0, 12), LOG.bodies[12], _expired(13, 14), shown=14), Fault.LINE_EXPIRED),
    ("a hash of another", lambda: _behind(_expired(0, 12).replace(b'":["', b'":["A', 1)), Fault.LINE_FORM),
]  # fmt: skip


@pytest.mark.parametrize(("what", "altered", "code"), MISPLACED, ids=[row[0] for row in MISPLACED])
def test_what_expired_lies_at_the_beginning_and_is_what_the_manifest_says(
    tmp_path: Path, what: str, altered: Callable[[], Made], code: str
):
    finding = checked(altered(), tmp_path).finding
    assert finding is not None
    assert (finding.code, finding.member) == (code, FIRST)


# -- whatever is altered is found ------------------------------------------------------------------------------------


def _lines(name: str, alter: Callable[[list[bytes]], list[bytes]]) -> Made:
    lines = MADE.members[name].split(b"\n")[:-1]
    return MADE.with_member(name, b"".join(line + b"\n" for line in alter(lines)))


def _entry(number: int, **changed: object) -> Made:
    def alter(lines: list[bytes]) -> list[bytes]:
        body = {**orjson.loads(lines[number]), **changed}
        return [*lines[:number], canonical_json(body), *lines[number + 1 :]]

    return _lines(ENTRIES, alter)


def _rebuilt(bodies: dict[int, dict[str, object]], **asked: object) -> Made:
    """An export of a log that really holds something else: the proof leads to it."""
    altered = [
        canonical_json({**orjson.loads(body), **bodies.get(index, {})})
        for index, body in enumerate(LOG.bodies)
    ]
    return bundle_of(Log(tuple(altered), LOG.parts), Asked(within=(3, 15), **asked))


def _manifest(**changed: object) -> Made:
    document = {**json.loads(MADE.members["manifest.json"]), **changed}
    return MADE.with_member("manifest.json", canonical_json(document))


def _without(name: str, made: Made = MADE) -> Made:
    return replace(made, members={key: value for key, value in made.members.items() if key != name})


def _proofs(**changed: object) -> Made:
    proofs = read_proofs(MADE.members["proofs.json"])
    assert isinstance(proofs, Proofs)
    return MADE.with_member("proofs.json", proofs_document(replace(proofs, **changed)))


def _with_gap() -> Made:
    """A line that stands for two leaves which no filter withheld."""
    node = node_hash(leaf_hash(LOG.bodies[4]), leaf_hash(LOG.bodies[5]))
    return _lines(ENTRIES, lambda lines: [*lines[:2], gap_line(Absent.WITHHELD, 4, 6, [node]), *lines[4:]])


def _table_of_another_index() -> Made:
    return MADE.with_member(TABLE, MADE.members[TABLE].replace(b"\r\n7,", b"\r\n8,"))


def _swapped(name: str) -> Made:
    return _lines(name, lambda lines: [*lines[:1], lines[2], lines[1], *lines[3:]])


FOREIGN = bundle_of(LOG, Asked(within=(3, 15), key=OTHER_KEY))

ALTERED: list[tuple[str, Callable[[], Made], str, str]] = [
    ("an entry", lambda: _entry(5, nonce="0"), Refusal.PROOF_ROOT, "entries"),
    ("an entry that the table tells otherwise", lambda: _entry(5, reason=99), Fault.TABLE, TABLE),
    ("an entry swapped", lambda: _swapped(ENTRIES), Fault.ENTRY_PLACE, ENTRIES),
    ("an entry missing", lambda: _lines(ENTRIES, lambda all_: all_[:-1]), Fault.LINE_COUNT, ENTRIES),
    ("an entry too many", lambda: _lines(ENTRIES, lambda all_: [*all_, LOG.bodies[16]]), Fault.LINE_COUNT, ENTRIES),
    ("an entry twice", lambda: _lines(ENTRIES, lambda all_: [all_[0], all_[0], *all_[2:]]), Fault.ENTRY_PLACE, ENTRIES),
    ("an entry in other words", lambda: _lines(ENTRIES, lambda all_: [all_[0] + b" ", *all_[1:]]), Fault.ENTRY_FORM, ENTRIES),
    ("no newline at the end", lambda: MADE.with_member(ENTRIES, MADE.members[ENTRIES][:-1]), Fault.LINE_FORM, ENTRIES),
    ("an endless line", lambda: MADE.with_member(ENTRIES, b"x" * 70_000), Fault.LINE_FORM, ENTRIES),
    ("a gap without a filter", _with_gap, Fault.ENTRY_FORM, ENTRIES),
    ("an opening of another", lambda: _swapped(OPENINGS), Fault.OPENING_FORM, OPENINGS),
    ("an opening altered", lambda: MADE.with_member(OPENINGS, MADE.members[OPENINGS].replace(b"h-2", b"h-3", 1)), Fault.OPENING_COMMITMENT, OPENINGS),
    ("an opening that is none", lambda: _lines(OPENINGS, lambda all_: [b"{}", *all_]), Fault.OPENING_FORM, OPENINGS),
    ("an opening of a border", lambda: _lines(OPENINGS, lambda all_: [b'{"index":2,"opening":{}}', *all_]), Fault.OPENING_STRAY, OPENINGS),
    ("an opening beyond", lambda: _lines(OPENINGS, lambda all_: [*all_, b'{"index":99,"opening":{}}']), Fault.OPENING_STRAY, OPENINGS),
    ("an opening missing", lambda: _lines(OPENINGS, lambda all_: all_[1:]), Fault.TABLE, TABLE),
    ("a cell", _table_of_another_index, Fault.TABLE, TABLE),
    ("a row too many", lambda: MADE.with_member(TABLE, MADE.members[TABLE] + b"99\r\n"), Fault.TABLE, TABLE),
    ("a row missing", lambda: MADE.with_member(TABLE, MADE.members[TABLE].rsplit(b"\r\n", 2)[0] + b"\r\n"), Fault.TABLE, TABLE),
    ("the range proof", lambda: _proofs(range=(bytes(32),) * 4), Refusal.PROOF_LENGTH, "proofs.json"),
    ("the export's proof", lambda: _proofs(export=(bytes(32),) * 5), Refusal.PROOF_LENGTH, "export.json"),
    ("the proofs in other words", lambda: MADE.with_member("proofs.json", MADE.members["proofs.json"] + b" "), Fault.PROOFS_FORM, "proofs.json"),
    ("the export's entry", lambda: MADE.with_member("export.json", MADE.members["export.json"].replace(b"yearly", b"weekly")), Refusal.PROOF_ROOT, "export.json"),
    ("the reason", lambda: MADE.with_manifest(export=replace(MADE.manifest.export, reason="curiosity")), Fault.EXPORT_OTHER, "export.json"),
    ("who agreed", lambda: MADE.with_manifest(export=replace(MADE.manifest.export, approved_by=None)), Fault.EXPORT_OTHER, "export.json"),
    ("the seq of the export", lambda: MADE.with_manifest(export=replace(MADE.manifest.export, seq=1)), Fault.EXPORT_OTHER, "export.json"),
    ("nothing asked for at the front", lambda: MADE.with_manifest(since=None), Fault.MANIFEST_BORDERS, "manifest.json"),
    ("nothing asked for at the end", lambda: MADE.with_manifest(until=None), Fault.MANIFEST_BORDERS, "manifest.json"),
    ("the border in front", lambda: MADE.with_manifest(within=(2, 15)), Fault.MANIFEST_BORDERS, "manifest.json"),
    ("the border at the end", lambda: MADE.with_manifest(within=(3, 16)), Fault.MANIFEST_BORDERS, "manifest.json"),
    ("a time that was before", lambda: MADE.with_manifest(since=LOG.at(2)), Fault.ENTRY_TIME, ENTRIES),
    ("a time that was after", lambda: MADE.with_manifest(since=LOG.at(4)), Fault.ENTRY_TIME, ENTRIES),
    ("an end that was before", lambda: MADE.with_manifest(until=LOG.at(14)), Fault.ENTRY_TIME, ENTRIES),
    ("an end that was after", lambda: MADE.with_manifest(until=LOG.at(16)), Fault.ENTRY_TIME, ENTRIES),
    ("a filter", lambda: MADE.with_manifest(selection=FILTERS[0]), Fault.ENTRY_FILTER, ENTRIES),
    ("the counts", lambda: MADE.with_manifest(counts=replace(MADE.manifest.counts, rows=11)), Fault.MANIFEST_COUNTS, "manifest.json"),
    ("the site", lambda: _manifest(site="castle"), Fault.MANIFEST_FORM, "manifest.json"),
    ("the size", lambda: MADE.with_manifest(size=22), Fault.CHECKPOINT_OTHER, "checkpoint"),
    ("the root", lambda: MADE.with_manifest(root=bytes(32)), Fault.CHECKPOINT_OTHER, "checkpoint"),
    ("the key named", lambda: _manifest(key=FOREIGN.key), Fault.CHECKPOINT_KEY, "checkpoint"),
    ("the key's id", lambda: _manifest(key=MADE.key.replace("+b", "+c", 1)), Fault.MANIFEST_FORM, "manifest.json"),
    ("the whole checkpoint", lambda: MADE.with_member("checkpoint", FOREIGN.note), Fault.CHECKPOINT_KEY, "checkpoint"),
    ("no checkpoint", lambda: MADE.with_member("checkpoint", b"no note"), Refusal.NOTE_STRUCTURE, "checkpoint"),
    ("a note that is none", lambda: MADE.with_member("checkpoint", MADE.note.replace(ORIGIN.encode() + b"\n21", b"\n21")), Refusal.CHECKPOINT_STRUCTURE, "checkpoint"),
    ("a member missing", lambda: _without(TABLE), Fault.ARCHIVE_MEMBERS, ""),
    ("no manifest", lambda: _without("manifest.json"), Fault.ARCHIVE_MEMBERS, ""),
    ("a member more", lambda: MADE.with_member("README.md", b"hello"), Fault.ARCHIVE_MEMBERS, ""),
    ("a member that is too large", lambda: MADE.with_member("export.json", bytes(1 << 21)), Fault.ARCHIVE_SIZE, "export.json"),
    ("the export is another entry", lambda: MADE.with_member("export.json", b"{}"), Refusal.PROOF_ROOT, "export.json"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "altered", "code", "member"), ALTERED, ids=[row[0] for row in ALTERED])
def test_what_was_altered_is_named_with_its_place(
    tmp_path: Path, what: str, altered: Callable[[], Made], code: str, member: str
):
    report = checked(altered(), tmp_path)
    assert report.finding is not None
    assert (report.finding.code, report.finding.member) == (code, member)
    assert not report.valid
    assert not report.fit_to_remember


def test_a_finding_names_line_and_index(tmp_path: Path):
    finding = checked(_swapped(ENTRIES), tmp_path).finding
    assert finding is not None
    assert (finding.line, finding.index) == (2, 3)
    assert str(finding) == (
        f"{ENTRIES} line 2 (index 3): An entry says another site or another place in the tree [entry-place]"
    )


def test_a_row_that_differs_is_named_by_its_index(tmp_path: Path):
    finding = checked(_table_of_another_index(), tmp_path).finding
    assert finding is not None
    assert finding.index == 7


# -- a log that is sound but does not say what its manifest says -----------------------------------------------------


def test_an_entry_of_another_site_is_invalid_even_when_it_is_proved(tmp_path: Path):
    report = checked(_rebuilt({7: {"site": "castle"}}), tmp_path)
    assert report.finding is not None
    assert (report.finding.code, report.finding.index) == (Fault.ENTRY_PLACE, 7)


def test_an_entry_without_a_time_is_invalid(tmp_path: Path):
    report = checked(_rebuilt({7: {"at": 12}}), tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.ENTRY_FORM


def test_a_clock_that_ran_backwards_within_is_said_and_not_held_against_the_log(tmp_path: Path):
    report = checked(_rebuilt({7: {"at": "2020-01-01T00:00:00.000000Z"}}), tmp_path)
    assert report.finding is None
    assert "when 1 entry was made: the log's clock ran backwards there" in report.unchecked


def test_gaps_lie_where_they_say(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), selection=FILTERS[0]))
    lines = made.members[ENTRIES]
    for wrong, code in (
        (lines.replace(b'"withheld":[6,', b'"withheld":[7,'), Fault.LINE_GAP),
        (lines.replace(b'"withheld":[6,9]', b'"withheld":[6,10]'), Fault.ENTRY_PLACE),
        (lines.replace(b'"withheld":[6,9]', b'"withheld":[6,11]'), Fault.LINE_FORM),
        (lines.replace(b'"withheld":[6,9]', b'"withheld":[4,6]'), Fault.LINE_FORM),
        (lines.replace(b'"withheld":[6,9]', b'"withheld":[06,9]'), Fault.LINE_FORM),
    ):
        assert wrong != lines
        report = checked(made.with_member(ENTRIES, wrong), tmp_path)
        assert report.finding is not None
        assert report.finding.code == code


def test_a_border_is_never_withheld(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), selection=FILTERS[0]))
    lines = made.members[ENTRIES].split(b"\n")
    lines[0] = gap_line(Absent.WITHHELD, 2, 3, [leaf_hash(LOG.bodies[2])])
    report = checked(made.with_member(ENTRIES, b"\n".join(lines)), tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.LINE_GAP


def test_an_opening_that_is_no_document_is_invalid_even_when_it_was_committed_to(tmp_path: Path):
    body = canonical_json({**orjson.loads(LOG.bodies[6]), "personal": commitment(b"[]")})
    bodies = tuple(body if index == 6 else one for index, one in enumerate(LOG.bodies))
    made = bundle_of(Log(bodies, LOG.parts), Asked(within=(3, 15)))
    part = LOG.parts[6]
    assert part is not None
    openings = made.members[OPENINGS].replace(b'"opening":' + part, b'"opening":[]')
    report = checked(made.with_member(OPENINGS, openings), tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.OPENING_FORM


def test_a_newer_format_is_not_judged(tmp_path: Path):
    with pytest.raises(CannotCheckError, match="a newer Gatekeeper"):
        checked(_manifest(format="gatekeeper-bundle/2"), tmp_path)


def test_a_manifest_that_claims_a_log_without_end_is_refused_at_once(tmp_path: Path):
    made = MADE.with_manifest(size=1 << 62, range=(2, 1 << 61), within=(3, (1 << 61) - 1))
    report = checked(made, tmp_path)
    assert report.finding is not None
    assert report.finding.code == Fault.ARCHIVE_MEMBERS


# -- whose checkpoint it is --------------------------------------------------------------------------------------------


def _verifier(key: str) -> Verifier:
    verifier = parse_verifier(key)
    assert isinstance(verifier, Verifier)
    return verifier


def test_the_first_time_the_key_is_believed_and_said_to_be(tmp_path: Path):
    report = checked(MADE, tmp_path)
    assert report.key == _verifier(MADE.key)
    assert any(MADE.key in said for said in report.unchecked)


def test_a_key_that_is_pinned_is_no_matter_of_belief(tmp_path: Path):
    report = checked(MADE, tmp_path, key=_verifier(MADE.key))
    assert report.finding is None
    assert not any(MADE.key in said for said in report.unchecked)


def test_one_key_signs_all_trees_of_a_site(tmp_path: Path):
    key = replace(_verifier(MADE.key), name="gatekeeper/fort/site")
    assert checked(MADE, tmp_path, key=key).finding is None


def test_another_key_than_the_pinned_one_is_invalid(tmp_path: Path):
    for made in (MADE, bundle_of(LOG, Asked(within=(3, 15), names_key=False))):
        report = checked(made, tmp_path, key=_verifier(FOREIGN.key))
        assert report.finding is not None
        assert report.finding.code == Fault.CHECKPOINT_KEY


def test_a_key_of_another_site_cannot_be_used(tmp_path: Path):
    key = replace(_verifier(MADE.key), name="gatekeeper/castle/site")
    with pytest.raises(CannotCheckError, match="gatekeeper/castle/site"):
        checked(MADE, tmp_path, key=key)


def test_without_any_key_the_signature_is_not_checked_and_nothing_fit_to_remember(tmp_path: Path):
    report = checked(bundle_of(LOG, Asked(within=(3, 15), names_key=False)), tmp_path)
    assert (report.finding, report.key, report.fit_to_remember) == (None, None, False)
    assert any("--key" in said for said in report.unchecked)


def test_a_signature_that_is_not_the_logs_is_refused(tmp_path: Path):
    head, _, line = MADE.note.decode().rpartition("— ")
    name, signature = line.split(" ")
    forged = f"{head}— {name} {signature[:20]}{'A' if signature[20] != 'A' else 'B'}{signature[21:]}"
    report = checked(MADE.with_member("checkpoint", forged.encode()), tmp_path)
    assert report.finding is not None
    assert report.finding.code == Refusal.NOTE_SIGNATURE


# -- witnesses ---------------------------------------------------------------------------------------------------------

WITNESS = Cosigner(name="witness.example", private_key=OTHER_KEY)


def _policy(*lines: str) -> Policy:
    policy = parse_policy("".join(f"{line}\n" for line in lines).encode())
    assert isinstance(policy, Policy)
    return policy


ONE_WITNESS = _policy(f"witness w {WITNESS.verifier.key()}", "quorum w")


def test_cosignatures_count_when_a_policy_says_whose(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), cosigners=(WITNESS,)))
    report = checked(made, tmp_path, policy=ONE_WITNESS)
    assert report.finding is None
    assert [(one.verifier.name, one.time) for one in report.witnesses] == [("witness.example", 1_780_000_000)]
    assert not any("cosign" in said for said in report.unchecked)


def test_fewer_witnesses_than_the_policy_asks_for_are_too_few(tmp_path: Path):
    report = checked(MADE, tmp_path, policy=ONE_WITNESS)
    assert report.finding is not None
    assert report.finding.code == Fault.WITNESS_POLICY


def test_a_policy_is_not_held_to_be_kept_where_the_log_has_no_key(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), names_key=False, cosigners=(WITNESS,)))
    report = checked(made, tmp_path, policy=ONE_WITNESS)
    assert (report.finding, report.valid) == (None, False)
    assert "--key" in report.lacking[0]
    assert checked(made, tmp_path, policy=ONE_WITNESS, key=_verifier(MADE.key)).valid


def test_a_policy_that_asks_for_no_witness_is_said_to_ask_for_none(tmp_path: Path):
    report = checked(MADE, tmp_path, policy=_policy("quorum none"))
    assert report.finding is None
    assert any("no witness has cosigned" in said for said in report.unchecked)


def test_a_policy_pins_the_key_of_a_log_that_it_names(tmp_path: Path):
    known = _policy(f"log {MADE.key}", "quorum none")
    assert not any(MADE.key in said for said in checked(MADE, tmp_path, policy=known).unchecked)
    report = checked(MADE, tmp_path, policy=_policy(f"log {FOREIGN.key}", "quorum none"))
    assert report.finding is not None
    assert report.finding.code == Fault.CHECKPOINT_KEY
    elsewhere = replace(_verifier(MADE.key), name="gatekeeper/castle/site").key()
    silent = checked(MADE, tmp_path, policy=_policy(f"log {elsewhere}", "quorum none"))
    assert any(MADE.key in said for said in silent.unchecked)


def test_cosignatures_without_a_policy_are_said_to_be_unchecked(tmp_path: Path):
    report = checked(bundle_of(LOG, Asked(within=(3, 15), cosigners=(WITNESS,))), tmp_path)
    assert "1 cosignature of witnesses: no --policy says whom to believe" in report.unchecked


# -- time stamps -------------------------------------------------------------------------------------------------------


def test_a_time_stamp_is_checked_by_who_can_and_else_said_to_be_unchecked(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), stamp=b"token"))
    assert any(said.startswith("the time stamp") for said in checked(made, tmp_path).unchecked)
    text = made.note.decode().split("\n\n")[0].encode() + b"\n"
    at = LOG.at(3)
    good = checked(
        made, tmp_path, stamp=lambda said, token: at if (said, token) == (text, b"token") else "no"
    )
    assert (good.finding, good.stamped) == (None, Stamped(size=21, at=at))
    bad = checked(made, tmp_path, stamp=lambda _said, _token: "it is of another text")
    assert bad.finding is not None
    assert bad.finding.code == Fault.TIMESTAMP


@pytest.mark.parametrize("size", [1, 2, 9, 16, 20])
def test_a_stamp_over_an_older_checkpoint_says_which_size_was_there_when(tmp_path: Path, size: int):
    made = bundle_of(LOG, Asked(within=(3, 15), stamp=b"token", stamped=size))
    unsaid = checked(made, tmp_path)
    entries = "1 entry" if size == 1 else f"{size} entries"
    assert (unsaid.finding, unsaid.stamped) == (None, None)
    assert any(
        said.startswith(f"the time stamp over the checkpoint of {entries}:") for said in unsaid.unchecked
    )
    text = made.members["stamped-checkpoint"].partition(b"\n\n")[0] + b"\n"
    report = checked(made, tmp_path, stamp=lambda said, _token: NOON if said == text else "no")
    assert (report.finding, report.stamped) == (None, Stamped(size=size, at=NOON))
    older = f"when what came after the first {entries} was there: the stamp is older"
    assert (older in report.unchecked) is (size < 16)


STAMPED = bundle_of(LOG, Asked(within=(3, 15), stamp=b"token", stamped=9, seen=(4,)))
BAD_STAMPS: list[tuple[str, Callable[[], Made], str, str]] = [
    ("no token", lambda: _without("timestamp.tsr", STAMPED), Fault.ARCHIVE_MEMBERS, ""),
    ("no note", lambda: STAMPED.with_member("stamped-checkpoint", b"none"), Refusal.NOTE_STRUCTURE, "stamped-checkpoint"),
    ("a note that is none", lambda: _stamped(STAMPED, STAMPED.members["stamped-checkpoint"].replace(b"\n9\n", b"\n09\n")), Refusal.CHECKPOINT_SIZE, "stamped-checkpoint"),
    ("its own checkpoint", lambda: _stamped(STAMPED, STAMPED.note), Fault.TIMESTAMP_CHECKPOINT, "stamped-checkpoint"),
    ("a later one", lambda: _stamped(STAMPED, checkpoint_of(log_of(30), 30)), Fault.TIMESTAMP_CHECKPOINT, "stamped-checkpoint"),
    ("another log's", lambda: _stamped(STAMPED, checkpoint_of(LOG, 9).replace(b"school", b"club")), Fault.TIMESTAMP_CHECKPOINT, "stamped-checkpoint"),
    ("another's signature", lambda: _stamped(STAMPED, checkpoint_of(LOG, 9, key=OTHER_KEY)), Fault.CHECKPOINT_KEY, "stamped-checkpoint"),
    ("no proof", lambda: _stamped(STAMPED, checkpoint_of(LOG, 10)), Fault.TIMESTAMP_GROWTH, "proofs.json"),
    ("another history", lambda: _stamped(STAMPED, checkpoint_of(log_of(20, more="x"), 9)), Fault.CHECKPOINT_FORK, "stamped-checkpoint"),
    ("a proof of another root", lambda: _other_root(STAMPED), Refusal.PROOF_OLD_ROOT, "proofs.json"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "altered", "code", "member"), BAD_STAMPS, ids=[row[0] for row in BAD_STAMPS]
)
def test_an_older_checkpoint_that_proves_nothing_is_invalid(
    tmp_path: Path, what: str, altered: Callable[[], Made], code: str, member: str
):
    for known in ({}, {"stamp": lambda _text, _token: NOON}):
        report = checked(altered(), tmp_path, **known)
        assert report.finding is not None
        assert (report.finding.code, report.finding.member) == (code, member)


def _stamped(made: Made, note: bytes) -> Made:
    return made.with_member("stamped-checkpoint", note)


def _other_root(made: Made) -> Made:
    """Proofs and stamped note tell the same of a log that never was."""
    proofs = read_proofs(made.members["proofs.json"])
    assert proofs is not None
    other = log_of(20, more="x")
    root = root_of(leaf_hash(body) for body in other.bodies[:9])
    told = tuple(replace(one, root=root) if one.size == 9 else one for one in proofs.consistency)
    document = proofs_document(replace(proofs, consistency=told))
    return _stamped(made.with_member("proofs.json", document), checkpoint_of(other, 9))


# -- what was seen before ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 20))
def test_a_checkpoint_within_the_range_follows_from_the_entries(tmp_path: Path, size: int):
    made = bundle_of(LOG, Asked(within=(3, 15)))
    report = checked(made, tmp_path, notes=[("gate", checkpoint_of(LOG, size))])
    within = 2 <= size <= 16
    assert report.finding is None
    assert [one.size for one in report.consistent_with] == ([size] if within else [])
    assert bool(report.lacking) is not within


@pytest.mark.parametrize("size", range(1, 20))
def test_a_checkpoint_outside_of_the_range_needs_a_proof(tmp_path: Path, size: int):
    made = bundle_of(LOG, Asked(within=(8, 10), seen=(size,)))
    report = checked(made, tmp_path, notes=[("gate", checkpoint_of(LOG, size))])
    assert (report.finding, report.lacking) == (None, [])


@pytest.mark.parametrize("size", range(2, 20))
def test_a_log_that_was_rewritten_is_a_fork(tmp_path: Path, size: int):
    other = log_of(20, more="rewritten")
    made = bundle_of(LOG, Asked(within=(3, 15), seen=(size,)))
    report = checked(made, tmp_path, notes=[("gate", checkpoint_of(other, size))])
    assert report.finding is not None
    assert report.finding.code == Fault.CHECKPOINT_FORK


def test_cuts_within_gaps_are_known_only_where_a_gap_ends(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), selection=FILTERS[0]))
    known = {}
    for size in range(3, 16):
        report = checked(made, tmp_path, notes=[("gate", checkpoint_of(LOG, size))])
        assert report.finding is None
        known[size] = not report.lacking
    assert [size for size, found in known.items() if not found] == [7, 8, 13, 14]


def test_a_proof_that_leads_nowhere_is_invalid_even_when_nobody_asked(tmp_path: Path):
    made = bundle_of(LOG, Asked(within=(3, 15), seen=(5,)))
    proofs = read_proofs(made.members["proofs.json"])
    assert proofs is not None
    (one,) = proofs.consistency
    wrong = replace(proofs, consistency=(replace(one, root=bytes(32)),))
    report = checked(made.with_member("proofs.json", proofs_document(wrong)), tmp_path)
    assert report.finding is not None
    assert report.finding.code == Refusal.PROOF_OLD_ROOT


def test_a_newer_checkpoint_is_beyond_what_a_bundle_can_say(tmp_path: Path):
    longer = log_of(40)
    report = checked(MADE, tmp_path, notes=[("gate", checkpoint_of(longer, 30))])
    assert (report.finding, report.lacking) == (None, [])
    assert any("at 30 entries (gate)" in said for said in report.unchecked)


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (b"nothing", "is no checkpoint"),
        (checkpoint_of(LOG, 5, key=OTHER_KEY), "is not signed by the log"),
        (MADE.note.replace(b"school", b"schoal"), "is a checkpoint of gatekeeper/fort/tenant/schoal"),
    ],
)
def test_a_note_that_is_none_of_this_log_cannot_be_used(tmp_path: Path, note: bytes, said: str):
    with pytest.raises(CannotCheckError, match=said):
        checked(MADE, tmp_path, notes=[("FILE", note)])


# -- several at once -----------------------------------------------------------------------------------------------------


def test_segments_are_checked_in_several_processes_with_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatekeeper.core.export.segments.SEGMENT", 8)
    monkeypatch.setattr("gatekeeper.service.auditor.bundle._FEW", 0)
    made = bundle_of(LOG, Asked(within=(3, 19)))
    told: list[tuple[int, int]] = []
    file = written(made, tmp_path)
    report = verify_bundle(file, processes=2, progress=lambda done, of: told.append((done, of)))
    assert (report.finding, report.counts) == (None, made.manifest.counts)
    assert told == [(6, 18), (14, 18), (18, 18)]
    altered = made.members["entries/000000000008.jsonl"].replace(b'"reason":11', b'"reason":12', 1)
    two = made.with_member("entries/000000000008.jsonl", altered).with_member("csv/000000000016.csv", b"")
    finding = verify_bundle(written(two, tmp_path), processes=2).finding
    assert finding is not None
    assert (finding.code, finding.member, finding.index) == (Fault.TABLE, "csv/000000000008.csv", 8)


def test_a_file_that_is_not_there_is_no_verdict(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        verify_bundle(tmp_path / "none.zip")
