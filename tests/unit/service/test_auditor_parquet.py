"""What a verifier says of the Parquet in a bundle: that it did not check it."""

from pathlib import Path

import pytest

from gatekeeper.service.auditor import verify_bundle
from tests.support.bundles import Asked, Made, bundle_of, log_of, written


def with_parquet(made: Made, content: bytes) -> Made:
    """The bundle with such a member beside its table."""
    claimed = made.with_manifest(parquet=True)
    members = {}
    for name, member in claimed.members.items():
        members[name] = member
        if name.startswith("csv/"):
            members[name.replace("csv", "parquet")] = content
    return Made(members, claimed.manifest, claimed.note, claimed.key)


@pytest.mark.parametrize("content", [b"PAR1", b"anything at all"])
def test_parquet_is_listed_as_not_checked_whatever_it_holds(content: bytes, tmp_path: Path):
    made = bundle_of(log_of(20), Asked(within=(0, 20)))
    plain = verify_bundle(written(made, tmp_path, name="plain.zip"))
    rendered = verify_bundle(written(with_parquet(made, content), tmp_path))
    assert rendered.finding is None
    assert set(rendered.unchecked) - set(plain.unchecked) == {"the Parquet files"}


def test_parquet_that_the_manifest_does_not_speak_of_has_no_place_in_a_bundle(tmp_path: Path):
    made = bundle_of(log_of(20), Asked(within=(0, 20)))
    slipped = with_parquet(made, b"PAR1").with_manifest(parquet=False)
    finding = verify_bundle(written(slipped, tmp_path)).finding
    assert finding is not None
    assert "parquet/000000000000.parquet" in str(finding)
