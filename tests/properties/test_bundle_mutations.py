"""One bit of a bundle is changed: it is INVALID, or it still says the very same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatekeeper.core.export import Manifest, Selection, read_manifest
from gatekeeper.service.auditor import CannotCheckError, Report, verify_bundle
from tests.support.bundles import Asked, Made, bundle_of, log_of, written

LOG = log_of(5, forgotten=lambda index: index == 1)
WHOLE = bundle_of(LOG, Asked(within=(1, 4), seen=(2,)))
FILTERED = bundle_of(LOG, Asked(within=(1, 4), selection=Selection(decisions=("denied",)), csv=None))
EXPIRED = bundle_of(LOG, Asked(within=(0, 5), expired=3, csv=None))
GUIDES = ("VERIFY.txt", "verify.py")


def flipped(name: str, content: bytes) -> Iterator[tuple[int, bytes]]:
    """The content with one bit changed: every bit of what is read once, and one of each byte of what is read by line."""
    for at in range(len(content)):
        for bit in (at % 8,) if "/" in name else range(8):
            yield at, content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def only_unproved_words(document: bytes) -> bool:
    """Whether a manifest differs in nothing but what a verifier says it cannot check."""
    altered, known = read_manifest(document), WHOLE.manifest
    return isinstance(altered, Manifest) and (altered.written, altered.program) != (
        known.written,
        known.program,
    )


def checked(made: Made, folder: Path) -> Report:
    return verify_bundle(written(made, folder, compress=False))


@pytest.mark.parametrize("made", [WHOLE, FILTERED, EXPIRED], ids=["whole", "filtered", "expired"])
def test_the_bundles_are_valid_before(tmp_path: Path, made: Made):
    assert checked(made, tmp_path).valid


@pytest.mark.parametrize("name", [name for name in WHOLE.members if name not in GUIDES])
def test_no_bit_of_a_member_can_be_changed(tmp_path: Path, name: str):
    for at, content in flipped(name, WHOLE.members[name]):
        try:
            report = checked(WHOLE.with_member(name, content), tmp_path)
        except CannotCheckError:
            assert b"gatekeeper-bundle/1" not in content
            continue
        if name == "manifest.json" and only_unproved_words(content):
            assert any("only the manifest says" in said for said in report.unchecked)
            continue
        assert report.finding is not None, (name, at, content)


@pytest.mark.parametrize("made", [FILTERED, EXPIRED], ids=["withheld", "expired"])
def test_no_bit_of_what_stands_for_entries_can_be_changed(tmp_path: Path, made: Made):
    (name,) = [name for name in made.members if name.startswith("entries/")]
    for at, content in flipped(name, made.members[name]):
        assert checked(made.with_member(name, content), tmp_path).finding is not None, (at, content)


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_that_was_changed_is_not_to_be_followed(tmp_path: Path, name: str):
    for _, content in flipped(name, WHOLE.members[name][:64]):
        report = checked(WHOLE.with_member(name, content), tmp_path)
        assert any(said.startswith(f"{name}: it is not the one") for said in report.unchecked)
