"""schemas/README.md and schemas/reasons.md: every table is held to the code, row by row, in both directions."""

import ast
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from devices.bridges.overheard import Overheard
from devices.bridges.tasmota_format import NoCard
from devices.core import outbox, timekeeping
from devices.core.alone import Alone
from devices.core.belief import BEACON_PERIODS, Ignored
from devices.core.controller import Limits
from devices.core.timekeeping import ClockDoubt
from gatekeeper import cose, transparency
from gatekeeper.core import (
    change,
    custody,
    drafting,
    enact,
    enrolment,
    errands,
    hearing,
    operators,
    pin,
    policy_document,
    proposals,
    register,
    sequences,
    supervise,
    trust,
)
from gatekeeper.core.certificates import CertificateRefusal
from gatekeeper.core.change import MAX_CHANGE_BYTES, ChangeRefusal
from gatekeeper.core.enrolment import EnrolmentRefusal
from gatekeeper.core.policy_document import MAX_POLICY_BYTES, PolicyRefusal
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.core.trust import TrustRefusal
from gatekeeper.cose import sign1, status_list
from gatekeeper.model import badges, messages, snapshot
from gatekeeper.model.badges import MAX_TOKEN_BYTES
from gatekeeper.model.messages import ANSWER_VALIDITY, LONGEST_WAIT, MAX_MESSAGE_BYTES
from gatekeeper.model.reasons import MessageRefusal, Reason
from gatekeeper.service.administration.exports import ExportRefusal
from gatekeeper.service.auditor.timestamps import TimestampRefusal
from gatekeeper.service.engine import beacons, provisions
from gatekeeper.service.engine.intake import Allowance
from gatekeeper.service.export.refusal import LogExportRefusal
from tests.contract.test_schemas_asyncapi import document, operations

SCHEMAS = Path(__file__).parents[2] / "schemas"
MS = timedelta(milliseconds=1)


@cache
def text(name: str) -> str:
    return (SCHEMAS / name).read_text("utf-8")


def rows(name: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    found = re.findall(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text(name), re.MULTILINE)
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for table in found
        for line in table.splitlines()
    ]


def section(title: str) -> dict[str, str]:
    """The table of codes below a title of reasons.md."""
    below = text("reasons.md").split(f"\n## {title}\n")[1].split("\n## ")[0]
    pairs = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", below, re.MULTILINE)
    assert len(pairs) == len(dict(pairs)), "a code stands twice"
    return dict(pairs)


# -- reasons.md -------------------------------------------------------------------------------------------------------


def test_every_reason_stands_in_the_table_and_no_other():
    assert rows("reasons.md", "number") == [
        [str(reason.bacnet), reason.code, reason.onvif.value, reason.english, reason.dutch]
        for reason in Reason
    ]


def test_reasons_have_numbers_and_codes_of_their_own():
    assert len({reason.bacnet for reason in Reason}) == len({reason.code for reason in Reason}) == len(Reason)


@pytest.mark.parametrize(
    ("title", "codes"),
    [
        ("Messages that are refused", MessageRefusal),
        ("What is wrong with bytes", cose.Refusal),
        ("Trust lists", TrustRefusal),
        ("Policies", PolicyRefusal),
        ("Changes", ChangeRefusal),
        ("Enrolment", EnrolmentRefusal),
        ("Certificates", CertificateRefusal),
        ("Exports", ExportRefusal),
        ("Exports of the log", LogExportRefusal),
        ("Time stamps", TimestampRefusal),
        ("Proofs and notes of the log", transparency.Refusal),
    ],
)
def test_every_code_stands_in_its_table_with_its_sentence(title: str, codes: Any):
    assert section(title) == {code.value: code.sentence for code in codes}


@pytest.mark.parametrize(
    ("title", "codes"),
    [
        ("What a gate ignores", [Ignored]),
        ("What a gate says when it is alone", [Alone, ClockDoubt]),
        ("Readers behind a bridge", [NoCard, Overheard]),
    ],
)
def test_every_code_without_a_sentence_of_its_own_stands_in_its_table(title: str, codes: Any):
    assert list(section(title)) == [code.value for kind in codes for code in kind]
    assert all(meaning.endswith(".") for meaning in section(title).values())


def test_every_outcome_of_a_change_that_the_code_names_stands_in_its_table():
    named = {supervise.APPLIED, supervise.PROPOSED, *(code for _, code in supervise._ENDINGS.values())}
    for module in (supervise, enact, custody, errands):
        calls = [
            node
            for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Declined"
        ]
        assert calls
        named |= {code for call in calls if (code := _code(module, call.args[0])) is not None}
    assert section("What becomes of a change").keys() == named


def _code(module: Any, argument: ast.expr) -> str | None:
    """A code as it is written, or the constant that it is; None for one of another document's refusal."""
    match argument:
        case ast.Constant(str(code)):
            return code
        case ast.Name(name):
            return str(getattr(module, name))
        case ast.Attribute(attr="code"):
            return None
        case _:
            raise AssertionError(ast.dump(argument))


def test_every_section_of_codes_is_one_that_a_test_knows():
    titles = re.findall(r"^## (.+)$", text("reasons.md"), re.MULTILINE)
    assert len(titles) == 16
    for title in titles:
        anchor = title.lower().replace(" ", "-").replace("'", "")
        assert f"(#{anchor})" in text("reasons.md"), title


# -- README.md --------------------------------------------------------------------------------------------------------


def test_the_table_of_channels_is_that_of_the_asyncapi():
    written = {row[0]: row[1:] for row in rows("README.md", "channel")}
    assert written.keys() == document()["channels"].keys()
    for name, (direction, qos, retained, by, typ) in written.items():
        [operation] = operations(name)
        binding, carried = operation["bindings"]["mqtt"], sorted(document()["channels"][name]["messages"])
        carriers = [document()["components"]["messages"][message] for message in carried]
        assert direction == {"send": "up", "receive": "down"}[operation["action"]]
        assert (qos, retained) == (str(binding["qos"]), "yes" if binding["retain"] else "no")
        assert {by} == {message["x-key-use"] for message in carriers}
        assert typ == "`, `".join(message["x-typ"] for message in carriers)


def test_every_typ_of_the_code_is_named_and_no_other():
    modules = (
        messages, snapshot, status_list, badges, trust, policy_document, register, operators, change, enrolment,
    )  # fmt: skip
    typs = {
        value
        for module in modules
        for name, value in vars(module).items()
        if name.endswith("_TYPE") and isinstance(value, str)
    }
    assert set(re.findall(r"application/(?:pacs|statuslist)[a-z+-]+", text("README.md"))) == typs
    documents = {row[2] for row in rows("README.md", "document")}
    travelling = {row[5].split("`")[0] for row in rows("README.md", "channel")}
    assert documents == typs - travelling | {trust.TRUST_TYPE}


def test_every_bound_is_the_one_of_the_code():
    limits = Limits()
    bounds: Mapping[str, int] = {
        "a message of a gate, bytes": MAX_MESSAGE_BYTES,
        "a badge's token, bytes": MAX_TOKEN_BYTES,
        "a protected header, bytes": sign1._HEADER_BOUNDS.max_bytes,
        "nesting of arrays and maps": cose.DEFAULT.max_depth,
        "items in one piece of CBOR, keys counted": cose.DEFAULT.max_items,
        "a policy, bytes of JSON": MAX_POLICY_BYTES,
        "a change, bytes": MAX_CHANGE_BYTES,
        "a trust list, bytes": trust._BOUNDS.max_bytes,
        "a snapshot, bytes": snapshot.MAX_SNAPSHOT_BYTES,
        "nesting in a snapshot": snapshot.SNAPSHOT_BOUNDS.max_depth,
        "items in a snapshot, keys counted": snapshot.SNAPSHOT_BOUNDS.max_items,
        "a standing, bytes": snapshot.MAX_STANDING_BYTES,
        "nesting in a standing": snapshot.STANDING_BOUNDS.max_depth,
        "items in a standing, keys counted": snapshot.STANDING_BOUNDS.max_items,
        "a status list when inflated, bytes": status_list.MAX_STATUS_BYTES,
        "messages of one gate a second, on average": int(Allowance().per_second),
        "messages of one gate at once": int(Allowance().burst),
        "numbers that the window holds": SEQUENCE_WINDOW,
        "messages of one gate's journal a second, on average": int(Allowance().journal_per_second),
        "messages of one gate's journal at once": int(Allowance().journal_burst),
        "boots of one gate that are remembered": sequences._KEPT_STREAMS,
        "journals of one gate that are remembered": sequences._KEPT_STREAMS,
        "age of a change, hours": supervise._FRESH // timedelta(hours=1),
        "a change waits for a second person, hours": proposals.PROPOSAL_LASTS // timedelta(hours=1),
        "changes that wait for one at most": proposals.MOST_PROPOSALS,
        "of these, changes of one author": proposals.MOST_OF_ONE,
        "period of the beacon, ms": beacons.PERIOD // MS,
        "beacons that count": beacons._COUNTED,
        "a checkpoint's note, bytes": messages.MAX_CHECKPOINT_BYTES,
        "resend of a scan, ms": limits.resend // MS,
        "resend of anything else, growing from that to, ms": limits.resend_most // MS,
        "validity of an answer at most, ms": ANSWER_VALIDITY // MS,
        "validity of a wait at most, ms": LONGEST_WAIT // MS,
        "digits of a PIN, at least": pin.PIN_DIGITS[0],
        "digits of a PIN, at most": pin.PIN_DIGITS[1],
        "a sealed PIN, bytes": cose.SEALED_OVERHEAD + pin.PIN_DIGITS[1],
        "a gate gives a scan up after, ms": limits.deadline // MS,
        "a gate waits for a badge's proof, ms": limits.proof // MS,
        "a gate releases a strike for at most, ms": limits.longest_unlock // MS,
        "a gate that may decide alone waits for the service, ms": limits.alone // MS,
        "a gate's clock and the service's time may be apart, s": timekeeping.TOLERANCE // (1000 * MS),
        "a standing is said anew every, s": provisions._SAID_EVERY // (1000 * MS),
        "snapshots are made anew every, s": provisions._MADE_EVERY // (1000 * MS),
        "a gate says that its link is up every, s": messages.LINK_PERIOD // (1000 * MS),
        "a gate is silent when its link was lost for, s": hearing.GRACE // (1000 * MS),
        "a gate is silent when it said nothing for, s": hearing.PATIENCE // (1000 * MS),
    }
    assert {row[0]: int(row[1]) for row in rows("README.md", "bound")} == bounds
    assert cose.DEFAULT.max_bytes == MAX_MESSAGE_BYTES


def test_what_is_said_of_numbering_and_beacons_is_what_gates_do():
    written = " ".join(text("README.md").split())
    assert f"kept messages {outbox._KEPT_SPAN} ahead of the oldest, scans at {outbox._SCAN_SPAN}" in written
    assert BEACON_PERIODS == 3
    assert "after three periods" in written


def test_the_numbers_of_outcomes_are_those_of_the_code():
    written = dict(
        re.fullmatch(r"([a-z-]+)` \((\d)\)", row[0]).groups() for row in rows("README.md", "outcome")
    )  # type: ignore[union-attr]
    assert {name: int(number) for name, number in written.items()} == {
        outcome.name.lower().replace("_", "-"): outcome.value for outcome in messages.PassageOutcome
    }
    for kind in messages.StatusKind:
        assert f"`{kind.name.lower().replace('_', '-')}`" in text("README.md")


def test_every_status_and_passage_that_is_an_alarm_is_said_to_be_one_with_its_code():
    (said,) = re.findall(
        r"Of these are alarms: (.*?)\.\s+So are the passages (.*?)\.", text("README.md"), re.DOTALL
    )
    statuses, passages = (re.findall(r"`([a-z-]+)`", one) for one in said)
    assert sorted(statuses) == sorted(drafting._ALARMING_STATUSES.values())
    assert sorted(statuses) == sorted(
        kind.name.lower().replace("_", "-") for kind in drafting._ALARMING_STATUSES
    )
    outcomes = {
        outcome.name.lower().replace("_", "-"): code for outcome, code in drafting._ALARMING_PASSAGES.items()
    }
    assert dict(zip(passages[::2], passages[1::2], strict=True)) == outcomes


def test_every_file_that_is_named_is_there_and_every_file_is_named():
    named = {row[0] for row in rows("README.md", "file")}
    here = {path.name + ("/" if path.is_dir() else "") for path in SCHEMAS.iterdir()}
    tops = {
        name.split("/")[0] + ("/" if "/" in name else "")
        for name in named
        if not name.endswith(".json") or "/" in name
    }
    assert here == tops
    vectors = {name for name in named if name.endswith(".json") and "/" not in name}
    assert vectors == {path.name for path in (SCHEMAS / "vectors").iterdir()}


def test_links_within_lead_to_a_heading():
    for name in ("README.md", "reasons.md"):
        headings = {
            re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", text(name), re.MULTILINE)
        }
        assert set(re.findall(r"\(#([^)]+)\)", text(name))) <= headings, name
