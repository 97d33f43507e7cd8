"""Whatever an entry says, a stranger reads the same back from each format, and a record stays one record."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.audit import canonical_json, timestamp
from gatekeeper.core.export.feeds import Format, Weight, read_public, record_of, syslog_message, weight_of
from gatekeeper.core.export.feeds.cef import cef_header, cef_value
from gatekeeper.core.export.feeds.syslog import octet_counted, structured_element
from gatekeeper.model.ids import SiteId
from tests.support.feed_readers import frames, read_cef, read_syslog
from tests.support.site_files import NOW

SITE = SiteId("fort")
NASTY = '\\|=]"[ \n\r\t\x00\x1b\x85\u2028\ufeffé\U0001f512rt'
TEXT = st.lists(st.sampled_from(NASTY) | st.text(max_size=4), max_size=12).map("".join)
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SAID = (
    "gate", "access_point", "from", "to", "tenant", "reason", "reasons", "assurance", "grant", "by", "author",
    "approved_by", "alarm", "status", "scope", "on", "policy", "shadow",
)  # fmt: skip
BODIES = st.dictionaries(st.sampled_from(SAID) | TEXT, LOOSE, max_size=12)
KINDS = st.sampled_from(["access.denied", "gate.status", "people.exported", "of.tomorrow"])


def _control_free(text: str, *, ends: str) -> str:
    """The text with U+FFFD for the control characters that CEF cannot spell."""
    return "".join(
        letter if letter in ends or not re.match("[\x00-\x1f\x7f-\x9f\u2028\u2029]", letter) else "\ufffd"
        for letter in text
    )


def _entry(kind: str, said: dict[str, Any]) -> Any:
    body = {**said, "v": 1, "site": SITE, "seq": 7, "kind": kind, "at": timestamp(NOW)}
    entry = read_public(SITE, 7, NOW, canonical_json(body))
    assert entry.kind == kind
    return entry


@given(TEXT, TEXT)
def test_a_field_and_a_value_of_cef_are_read_back_as_they_were(field: str, value: str):
    text = f"CEF:0|a|b|c|{cef_header(field)}|e|10|one=1 two={cef_value(value)} three=3"
    assert len(text.splitlines()) == 1
    read = read_cef(text)
    assert read.header == ["CEF:0", "a", "b", "c", _control_free(field, ends=""), "e", "10"]
    assert read.extension == {"one": "1", "two": _control_free(value, ends="\r\n"), "three": "3"}


@given(TEXT)
def test_an_escape_of_cef_is_nothing_that_another_needs(value: str):
    """A pipe is bare in a value, an equals sign in the header: escaped there, readers would show the backslash."""
    assert cef_value(value).count("|") == value.count("|")
    assert "\\|" not in cef_value(value).replace("\\\\", "")
    assert "\\=" not in cef_header(value).replace("\\\\", "")


@given(KINDS, BODIES)
def test_whatever_an_entry_says_each_format_gives_one_line_that_reads_back(kind: str, said: dict[str, Any]):
    entry = _entry(kind, said)
    ecs, cef, event = (record_of(spelling, entry, program="1.2.3") for spelling in Format)
    for record in (ecs, cef, event):
        assert b"\n" not in record
        assert b"\r" not in record
    read = read_cef(cef.decode())
    assert read.header[:5] == ["CEF:0", "Gatekeeper", "Gatekeeper", "1.2.3", kind]
    assert json.loads(event)["data"] == json.loads(entry.document)
    for name, key, field in (("author", "suser", "user.name"), ("gate", "deviceExternalId", "observer.name")):
        told = said.get(name)
        if type(told) is str and told:
            outer, inner = field.split(".")
            assert read.extension[key] == _control_free(told, ends="\r\n")
            assert json.loads(ecs)[outer][inner] == told


@given(KINDS, BODIES)
def test_what_is_marked_as_an_alarm_is_one_and_nothing_is_graver(kind: str, said: dict[str, Any]):
    weight = weight_of(_entry(kind, said))
    if said.get("alarm") is True:
        assert weight is Weight.ALARM
    elif kind != "gate.status":
        assert weight is weight_of(_entry(kind, {}))


@given(KINDS, BODIES, st.none() | st.integers(0, (1 << 32) - 1), st.sampled_from(Format))
def test_a_syslog_message_is_read_back_by_its_grammar(
    kind: str, said: dict[str, Any], enterprise: int | None, spelling: Format
):
    entry = _entry(kind, said)
    record = record_of(spelling, entry, program="1.2.3")
    read = read_syslog(syslog_message(entry, record, program="1.2.3", enterprise=enterprise))
    assert divmod(read.priority, 8) == (13, weight_of(entry).syslog)
    assert (read.timestamp, read.hostname, read.app_name, read.process, read.message_id) == (
        timestamp(NOW), "fort", "gatekeeper", "-", kind,
    )  # fmt: skip
    assert read.message == (record if record.isascii() else b"\xef\xbb\xbf" + record)
    ours = read.elements.pop(f"gatekeeper@{enterprise}", None)
    assert read.elements == {"origin": {"software": "Gatekeeper", "swVersion": "1.2.3"}}
    assert (ours is None) == (enterprise is None)
    if ours is not None:
        assert (ours["site"], ours["seq"], ours["leaf"], ours["rendering"]) == (
            "fort",
            "7",
            entry.leaf,
            "lossy",
        )
        assert ours.get("gate") == entry.told("gate")


@given(TEXT)
def test_a_value_of_structured_data_is_read_back_as_it_was(value: str):
    message = f"<1>1 - a b - c {structured_element('x@1', {'p': value, 'q': 'Q'})} text".encode()
    assert read_syslog(message).elements == {"x@1": {"p": value, "q": "Q"}}


@given(st.lists(st.binary(min_size=1, max_size=60)))
def test_frames_that_count_octets_are_cut_where_they_were_joined(messages: list[bytes]):
    stream = b"".join(map(octet_counted, messages))
    assert frames(stream) == messages
    if messages:
        assert frames(stream[:-1]) == messages[:-1]


@given(
    st.binary(max_size=80) | BODIES.map(canonical_json) | BODIES.map(lambda body: json.dumps(body).encode())
)
def test_what_is_no_entry_is_rendered_as_that_and_as_an_alarm(document: bytes):
    entry = read_public(SITE, 7, NOW, document)
    assert entry.kind is None
    assert weight_of(entry) is Weight.ALARM
    ecs, cef, event = (record_of(spelling, entry, program="1.2.3") for spelling in Format)
    assert json.loads(ecs)["event"]["action"] == read_cef(cef.decode()).header[4] == "entry.altered"
    assert json.loads(event)["type"] == "gatekeeper.entry.altered"


def test_a_body_that_was_spelled_anew_is_no_entry():
    """Who alters a body in the database may put ends of lines between its fields, and must not forge records so."""
    entry = _entry("access.granted", {})
    spelled = entry.document.replace(b'{"at"', b'{\n"at"')
    assert json.loads(spelled) == json.loads(entry.document)
    assert read_public(SITE, 7, NOW, spelled).kind is None
