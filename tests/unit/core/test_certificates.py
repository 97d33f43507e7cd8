"""What the site's authority signs, what it makes of a request, and whom a certificate names."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from gatekeeper.core.certificates import (
    AUTHORITY_LIFE,
    OUTWARD,
    SERVICE,
    Authority,
    CertificateRefusal,
    CertificateRefused,
    RevokedCertificate,
    account_name,
    authority_certificate,
    gate_of,
    hosts_of,
    integrator_account,
    public_der,
    read_certificate_request,
    renewal_due,
    request_certificate,
    service_name,
    to_pem,
)
from gatekeeper.model.ids import GateId, SiteId

SITE, GATE = SiteId("assen"), GateId("main-gate")
NOW, WEEK = datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(days=7)
KEY = ec.generate_private_key(ec.SECP256R1())


@cache
def authority(site: SiteId = SITE, number: int = 1) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority_certificate(site, key=key, serial=number, now=NOW)
    return Authority(site=site, certificate=certificate, key=key)


def certified(gate: GateId = GATE, *, life: timedelta = WEEK) -> x509.Certificate:
    return authority().for_gate(gate, KEY.public_key(), serial=77, now=NOW, life=life)


def named(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


def asked(
    *names: str,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey = KEY,
    more: Callable[
        [x509.CertificateSigningRequestBuilder], x509.CertificateSigningRequestBuilder
    ] = lambda asking: asking,
) -> bytes:
    builder = more(x509.CertificateSigningRequestBuilder().subject_name(named(*names)))
    return to_pem(builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()))


# -- asking -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [KEY, ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["P-256", "P-384", "Ed25519"],
)
def test_a_request_with_the_gate_s_name_and_a_good_key_gives_that_key(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
):
    found = read_certificate_request(asked(GATE, key=key), gate=GATE)
    assert not isinstance(found, CertificateRefused)
    assert public_der(found) == public_der(key.public_key())


def test_what_a_gate_asks_with_is_believed():
    found = read_certificate_request(request_certificate(GATE, key=KEY), gate=GATE)
    assert found == KEY.public_key()


def other_signature(request: bytes) -> bytes:
    """The same request, with a signature over something else."""
    other = x509.load_pem_x509_csr(asked("other-gate"))
    loaded = x509.load_pem_x509_csr(request)
    der = loaded.public_bytes(Encoding.DER).replace(loaded.signature, other.signature)
    try:
        return to_pem(x509.load_der_x509_csr(der))
    except ValueError:  # the two signatures are of different lengths in DER
        return other_signature(asked(GATE))


def with_name(asking: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequestBuilder:
    return asking.add_extension(x509.SubjectAlternativeName([x509.DNSName("service.assen")]), critical=False)


def with_authority(asking: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequestBuilder:
    return asking.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


def with_password(asking: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequestBuilder:
    return asking.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"open")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"", CertificateRefusal.MALFORMED),
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            CertificateRefusal.MALFORMED,
        ),
        (to_pem(certified()), CertificateRefusal.MALFORMED),
        (asked(GATE) + b"\n" * 4096, CertificateRefusal.MALFORMED),
        (other_signature(asked(GATE)), CertificateRefusal.PROOF),
        (asked(), CertificateRefusal.NAME),
        (asked("side-gate"), CertificateRefusal.NAME),
        (asked("Main-Gate"), CertificateRefusal.NAME),
        (asked(GATE, "side-gate"), CertificateRefusal.NAME),
        (asked(GATE, GATE), CertificateRefusal.NAME),
        (asked(GATE, more=with_name), CertificateRefusal.EXTRAS),
        (asked(GATE, more=with_authority), CertificateRefusal.EXTRAS),
        (asked(GATE, more=with_password), CertificateRefusal.EXTRAS),
        (asked(GATE, key=rsa.generate_private_key(65537, 2048)), CertificateRefusal.KEY),
        (asked(GATE, key=ec.generate_private_key(ec.SECP521R1())), CertificateRefusal.KEY),
        (asked(GATE, key=ec.generate_private_key(ec.SECP256K1())), CertificateRefusal.KEY),
    ],
)
def test_a_request_with_anything_else_is_refused(request_: bytes, code: CertificateRefusal):
    refused = read_certificate_request(request_, gate=GATE)
    assert isinstance(refused, CertificateRefused)
    assert refused.code is code
    assert refused.code.sentence


# -- what is signed -----------------------------------------------------------------------------------------------------


def extension(
    certificate: x509.Certificate, kind: type[x509.ExtensionType]
) -> x509.Extension[x509.ExtensionType]:
    return certificate.extensions.get_extension_for_class(kind)


def test_a_gate_s_certificate_is_for_that_gate_as_a_client_and_for_nothing_else():
    certificate = certified()
    assert certificate.subject == named(GATE)
    names = extension(certificate, x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("spiffe://assen/gate/main-gate")]  # type: ignore[call-overload]
    usage = extension(certificate, x509.ExtendedKeyUsage)
    assert (list(usage.value), usage.critical) == ([ExtendedKeyUsageOID.CLIENT_AUTH], True)  # type: ignore[call-overload]
    basic = extension(certificate, x509.BasicConstraints)
    assert (basic.value, basic.critical) == (x509.BasicConstraints(ca=False, path_length=None), True)
    key_usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (key_usage.digital_signature, key_usage.key_cert_sign, key_usage.crl_sign) == (True, False, False)
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (
        NOW - timedelta(minutes=5),
        NOW + WEEK,
    )
    assert certificate.serial_number == 77


def test_the_authority_signs_leaves_only():
    made = authority().certificate
    assert extension(made, x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    key_usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (key_usage.digital_signature, key_usage.key_cert_sign, key_usage.crl_sign) == (False, True, True)


def test_a_server_s_certificate_is_no_client_s_and_a_service_s_no_gate_s():
    server = authority().for_server(["broker", "127.0.0.1"], KEY.public_key(), serial=5, now=NOW, life=WEEK)
    assert list(extension(server, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]  # type: ignore[call-overload]
    service = authority().for_account(SERVICE, KEY.public_key(), serial=6, now=NOW, life=WEEK)
    assert service.subject == named(service_name(SITE))
    assert gate_of(server, site=SITE) is None
    assert gate_of(service, site=SITE) is None
    assert (hosts_of(server), hosts_of(service)) == (["broker", "127.0.0.1"], [])


@pytest.mark.parametrize("account", [SERVICE, OUTWARD, integrator_account(), integrator_account("acme")])
def test_an_account_s_certificate_is_a_client_s_of_its_name_and_no_gate_s(account: str):
    made = authority().for_account(account, KEY.public_key(), serial=7, now=NOW, life=WEEK)
    assert made.subject == named(f"{account}.{SITE}")
    names = extension(made, x509.SubjectAlternativeName).value
    assert [one.value for one in names] == [f"spiffe://{SITE}/{account}"]  # type: ignore[attr-defined]
    assert list(extension(made, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]  # type: ignore[call-overload]
    assert gate_of(made, site=SITE) is None


@pytest.mark.parametrize(
    "account",
    ["", "main-gate", "server", "integrator-", "integrator-A", "service.assen", f"integrator-{'a' * 32}"],
)
def test_no_certificate_is_made_for_what_is_no_account(account: str):
    site = SiteId("a" * 32)
    with pytest.raises(ValueError, match="no account at the broker"):
        account_name(account, site)


def test_an_integrator_is_named_as_all_else_is():
    with pytest.raises(ValueError, match="no name for an integrator"):
        integrator_account("Acme Corp.")


@pytest.mark.parametrize("name", ["", "Main", "main/gate", "+", "#", "service.assen", "a" * 33])
def test_no_certificate_is_made_for_a_name_that_no_gate_has(name: str):
    with pytest.raises(ValueError, match="no gate's name"):
        certified(GateId(name))


def test_nothing_outlives_the_authority():
    late = authority().certificate.not_valid_after_utc - timedelta(days=1)
    made = authority().for_gate(GATE, KEY.public_key(), serial=1, now=late, life=WEEK)
    assert made.not_valid_after_utc == NOW + AUTHORITY_LIFE


def test_an_authority_knows_its_own_signature():
    assert authority().has_signed(certified())
    assert not authority(SITE, 2).has_signed(certified()), "another of the same name"
    assert not authority().has_signed(authority(SITE, 2).certificate)


def test_the_list_of_revoked_certificates_names_them_and_ends_with_the_authority():
    revoked = [RevokedCertificate(serial=77, at=NOW)]
    listed = authority().revocations(revoked, now=NOW)
    assert listed.is_signature_valid(authority().key.public_key())
    found = listed.get_revoked_certificate_by_serial_number(77)
    assert found is not None
    assert found.revocation_date_utc == NOW
    assert listed.get_revoked_certificate_by_serial_number(78) is None
    assert listed.next_update_utc == authority().certificate.not_valid_after_utc
    assert len(authority().revocations([], now=NOW)) == 0


# -- whose it is --------------------------------------------------------------------------------------------------------


def of(names: Sequence[str], said: Sequence[x509.GeneralName]) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(*names))
        .issuer_name(authority().certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + WEEK)
    )
    if said:
        builder = builder.add_extension(x509.SubjectAlternativeName(said), critical=False)
    return builder.sign(authority().key, SHA256())


URI = x509.UniformResourceIdentifier
MINE = URI("spiffe://assen/gate/main-gate")


def test_a_certificate_says_whose_it_is_twice_and_the_same():
    assert gate_of(certified(), site=SITE) == GATE
    assert gate_of(of([GATE], [MINE]), site=SITE) == GATE


@pytest.mark.parametrize(
    "certificate",
    [
        of([GATE], []),
        of([], [MINE]),
        of([GATE, GATE], [MINE]),
        of(["side-gate"], [MINE]),
        of([GATE], [URI("spiffe://assen/gate/side-gate")]),
        of([GATE], [URI("spiffe://elsewhere/gate/main-gate")]),
        of([GATE], [MINE, URI("spiffe://assen/gate/side-gate")]),
        of([GATE], [MINE, x509.DNSName("main-gate")]),
        of(["service.assen"], [URI("spiffe://assen/gate/service.assen")]),
    ],
)
def test_a_certificate_that_says_it_otherwise_is_no_gate_s(certificate: x509.Certificate):
    assert gate_of(certificate, site=SITE) is None


def test_a_certificate_is_renewed_at_two_thirds_of_its_life():
    certificate = certified(life=timedelta(days=3) - timedelta(minutes=5))
    assert renewal_due(certificate) == NOW - timedelta(minutes=5) + timedelta(days=2)
