"""The text of a QR code: RFC 9285 by its own examples, and read back out of the image that is printed."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.cli.people.passes import qr_code
from gatekeeper.config import SettingError
from gatekeeper.core.register import Register
from gatekeeper.model.badges import MAX_TOKEN_BYTES, Assurance
from gatekeeper.service.administration.instants import show_instant
from gatekeeper.service.administration.issuing import IssuedBadge
from gatekeeper.service.administration.pass_text import pass_text, read_pass_text
from tests.support.site_files import NOW, Site
from tests.unit.administration.qr_reader import Matrix, read_png, read_svg, text_of
from tests.unit.administration.test_issuing import issued, issuer_of

ASSEN = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"\xff\xff", "FGW"),
        (b"\xff", "U5"),
        (b"", ""),
    ],
)
def test_the_examples_of_the_standard(content: bytes, text: str):
    assert pass_text(content) == f"GK1:{text}"
    assert read_pass_text(f"GK1:{text}") == content


@given(st.binary(max_size=MAX_TOKEN_BYTES))
def test_every_token_is_read_back_and_loses_nothing_at_its_end(token: bytes):
    text = pass_text(token)
    assert read_pass_text(text) == token
    assert re.fullmatch(r"GK1:[0-9A-Z $%*+./:-]*", text)
    assert text == text.rstrip(" "), "a scanner that plays keyboard may lose what is blank at the end"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BB8",
        "gk1:BB8",
        "GK2:BB8",
        "GK1:GGW",  # 65,536
        "GK1::::",
        "GK1:V5",  # 256
        "GK1:bb8",
        "GK1:B,8",
        "GK1:BB80",  # one character too many, or two too few
        "GK1:" + "BB8" * 700,
    ],
)
def test_what_is_no_text_of_a_badge_is_refused(text: str):
    with pytest.raises(ValueError, match="text of"):
        read_pass_text(text)


@pytest.fixture(scope="module")
def bearer(standing_fort: Site) -> IssuedBadge:
    return issued(issuer_of(standing_fort, "school"), assurance=Assurance.BEARER)


@pytest.mark.parametrize(
    ("name", "read"), [("pass.png", read_png), ("pass.svg", read_svg), ("P.SVG", read_svg)]
)
def test_the_token_is_read_back_out_of_the_image(
    name: str, read: Callable[[bytes], Matrix], bearer: IssuedBadge, standing_fort: Site
):
    image = qr_code(bearer.badge, bearer.token, Path(name), zone=ASSEN)
    token = read_pass_text(text_of(read(image)))
    assert Register().read_token(token, trust=standing_fort.trust) == bearer.badge
    assert bearer.badge.expires - NOW == timedelta(days=90)


def test_a_pass_is_black_on_white_and_says_which_it_is_and_of_when_and_not_whose(bearer: IssuedBadge):
    image = qr_code(bearer.badge, bearer.token, Path("pass.svg"), zone=ASSEN).decode()
    assert '<rect width="100%" height="100%" fill="#fff"/>' in image
    begins = show_instant(bearer.badge.not_before, ASSEN, ends=False)
    ends = show_instant(bearer.badge.expires, ASSEN, ends=True)
    assert re.findall(r"<text[^>]*>([^<]*)</text>", image) == [bearer.badge.id[:8], f"{begins} → {ends}"]


@pytest.mark.parametrize("name", ["pass.pdf", "pass", "svg", "pass.svg.gz"])
def test_a_file_of_no_known_kind_is_told_what_would_be(name: str, bearer: IssuedBadge):
    with pytest.raises(SettingError, match=r"neither an \.svg nor a \.png file"):
        qr_code(bearer.badge, bearer.token, Path(name), zone=ASSEN)


def test_a_badge_with_a_key_is_never_printed(standing_fort: Site):
    bound = issued(issuer_of(standing_fort, "school"))
    with pytest.raises(SettingError, match="this one has assurance 2"):
        qr_code(bound.badge, bound.token, Path("pass.svg"), zone=ASSEN)
