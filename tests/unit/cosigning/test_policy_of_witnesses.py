"""Which witnesses are asked, out of a policy file, and which files are told to be of no use for that."""

import pytest

from gatekeeper.service.cosigning import AskedWitness, PolicyRefusedError, asked_witnesses, read_policy
from tests.unit.transparency.test_policy import QUANTUM, X1, X2, X3


def test_a_witness_is_asked_once_at_its_url_however_many_keys_it_has():
    policy = read_policy(
        f"witness a {X1.key()} https://w.example/a\nwitness b {X2.key()} http://10.0.0.1:8091\n"
        f"witness a-later {QUANTUM.verifier.key()} https://w.example/a\nwitness silent {X3.key()}\n"
        "group both all a b\nquorum both\n".encode()
    )
    assert asked_witnesses(policy) == [
        AskedWitness(url="https://w.example/a", verifiers=(X1, QUANTUM.verifier)),
        AskedWitness(url="http://10.0.0.1:8091", verifiers=(X2,)),
    ]
    assert [one.name for one in asked_witnesses(policy)] == ["w0.example", "w1.example"]


def test_a_policy_that_cannot_be_read_is_told_with_its_line():
    with pytest.raises(PolicyRefusedError) as refused:
        read_policy(b"quorum none\nwitness x\n")
    assert str(refused.value) == (
        "The policy of witnesses is refused: The line is not a log, a witness, a group or a quorum with what belongs to it."
        " (line 2)"
    )


@pytest.mark.parametrize("text", ["quorum none\n", f"witness a {X1.key()}\nquorum a\n"])
def test_a_policy_that_says_of_nobody_where_they_are_is_of_no_use(text: str):
    with pytest.raises(PolicyRefusedError, match="gives the URL of at least one"):
        read_policy(text.encode())


def test_a_quorum_that_those_who_are_asked_cannot_meet_is_of_no_use():
    witnesses = f"witness a {X1.key()} https://w.example\nwitness silent {X2.key()}\n"
    with pytest.raises(PolicyRefusedError, match="without a URL, who are never asked"):
        read_policy(f"{witnesses}group both all a silent\nquorum both\n".encode())
    assert read_policy(f"{witnesses}group one any a silent\nquorum one\n".encode())


@pytest.mark.parametrize(
    "url",
    [
        "w.example",
        "ftp://w.example",
        "https://",
        "https:///path",
        "https://user@w.example",
        "https://:secret@w.example",
        "https://w.example/?key=secret",
        "https://w.example/#part",
        "https://w.example:99999",
        "https://w.example:port",
        "https://[::1",
        "https://wé.example",
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str):
    with pytest.raises(PolicyRefusedError, match="has the URL"):
        read_policy(f"witness a {X1.key()} {url}\nquorum a\n".encode())
