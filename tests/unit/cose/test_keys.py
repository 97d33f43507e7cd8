"""Keys: which are refused, what a record promises, and signatures of the right shape only."""

from dataclasses import FrozenInstanceError, replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gatekeeper.cose import (
    Algorithm,
    KeyRecord,
    KeyRefusedError,
    Refusal,
    SigningKey,
    algorithm_of,
    key_id,
    key_ring,
    verify_signature,
)
from gatekeeper.cose.curves import ED25519, P256, P384, Curve

ED_P = 2**255 - 19
ED_L = 2**252 + 27742317777372353535851937790883648493


def refusal_of(public_der: bytes, algorithm: Algorithm) -> Refusal:
    with pytest.raises(KeyRefusedError) as refused:
        KeyRecord.of(public_der, algorithm=algorithm, use="scan", owner="gate")
    return refused.value.code


def der_of(public: ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | rsa.RSAPublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem_of(private: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_signs_and_its_record_verifies(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    record = key.record(use="scan", owner="gate")
    signature = key.sign(b"message")
    assert (record.kid, record.algorithm) == (key.kid, algorithm)
    assert verify_signature(record, b"message", signature)
    assert not verify_signature(record, b"massage", signature)
    assert not verify_signature(
        SigningKey.generate(algorithm).record(use="scan", owner="gate"), b"message", signature
    )


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_same_bytes_are_signed_the_same_way(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    assert key.sign(b"message") == key.sign(b"message") != key.sign(b"massage")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_signature_of_another_length_is_refused(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    record, signature = key.record(use="scan", owner="gate"), key.sign(b"message")
    half = len(signature) // 2
    padded = bytes(1) + signature[:half] + bytes(1) + signature[half:]
    for wrong in (b"", signature[:-1], signature + bytes(1), padded, signature * 2):
        assert not verify_signature(record, b"message", wrong)


def test_an_ecdsa_signature_in_der_is_refused():
    private = ec.generate_private_key(ec.SECP256R1())
    record = SigningKey(private, Algorithm.ESP256).record(use="scan", owner="gate")
    assert not verify_signature(record, b"message", private.sign(b"message", P256.scheme))


def test_short_numbers_of_an_ecdsa_signature_are_padded():
    key = SigningKey(ec.derive_private_key(1, ec.SECP256R1()), Algorithm.ESP256)
    signatures = [key.sign(number.to_bytes(2, "big")) for number in range(1024)]
    assert {len(signature) for signature in signatures} == {64}
    assert any(signature[0] == 0 or signature[32] == 0 for signature in signatures)


def test_an_ed25519_signature_with_s_above_the_group_order_is_refused():
    key = SigningKey.generate(Algorithm.ED25519)
    signature = key.sign(b"message")
    s = int.from_bytes(signature[32:], "little") + ED_L
    again = signature[:32] + s.to_bytes(32, "little")
    assert not verify_signature(key.record(use="scan", owner="gate"), b"message", again)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_private_key_survives_its_file(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    again = SigningKey.from_pem(key.to_pem(), algorithm)
    assert (again.kid, again.public_der, again.algorithm) == (key.kid, key.public_der, algorithm)
    assert verify_signature(key.record(use="scan", owner="gate"), b"message", again.sign(b"message"))


@pytest.mark.parametrize("algorithm", [Algorithm.ESP256, Algorithm.ED25519, Algorithm.ESP384])
def test_a_private_key_has_the_algorithm_that_names_its_curve_unless_told_otherwise(algorithm: Algorithm):
    key = SigningKey.generate(algorithm)
    assert SigningKey.from_pem(key.to_pem()).algorithm == algorithm == algorithm_of(key.public_der)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem_of(ec.generate_private_key(ec.SECP521R1())),
        pem_of(ec.generate_private_key(ec.SECP256K1())),
        pem_of(ed448.Ed448PrivateKey.generate()),
        pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
    ids=["empty", "garbage", "P-521", "secp256k1", "Ed448", "RSA"],
)
def test_a_private_key_of_another_kind_is_refused(pem: bytes):
    for algorithm in (None, *Algorithm):
        with pytest.raises(KeyRefusedError) as refused:
            SigningKey.from_pem(pem, algorithm)
        assert refused.value.code is Refusal.KEY_FORM


def test_an_encrypted_private_key_is_refused():
    private = ec.generate_private_key(ec.SECP256R1())
    encryption = serialization.BestAvailableEncryption(b"secret")
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    with pytest.raises(KeyRefusedError):
        SigningKey.from_pem(pem)


def test_a_private_key_for_another_algorithm_is_refused():
    for algorithm, other in [("ESP256", "ESP384"), ("ESP256", "ED25519"), ("ED25519", "ESP256")]:
        pem = SigningKey.generate(Algorithm[algorithm]).to_pem()
        with pytest.raises(KeyRefusedError):
            SigningKey.from_pem(pem, Algorithm[other])


def test_a_signing_key_does_not_show_its_secret():
    key = SigningKey.generate(Algorithm.ED25519)
    secret = key._private.private_bytes_raw()
    assert secret.hex() not in repr(key)
    assert not hasattr(key, "__dict__")


def test_a_kid_is_the_start_of_the_hash_of_the_public_key():
    key = SigningKey.generate(Algorithm.ESP256)
    assert key.kid == key_id(key.public_der) == sha256(key.public_der).digest()[:8]


@pytest.mark.parametrize(
    ("curve", "algorithm", "other"),
    [
        (ec.SECP256R1(), Algorithm.ESP256, Algorithm.ESP384),
        (ec.SECP256R1(), Algorithm.ES256, Algorithm.ED25519),
        (ec.SECP384R1(), Algorithm.ESP384, Algorithm.ESP256),
    ],
)
def test_a_key_that_other_libraries_write_is_taken_for_its_own_algorithm_only(
    curve: ec.EllipticCurve, algorithm: Algorithm, other: Algorithm
):
    public_der = der_of(ec.generate_private_key(curve).public_key())
    assert KeyRecord.of(public_der, algorithm=algorithm, use="scan", owner="gate").public_der == public_der
    assert refusal_of(public_der, other) is Refusal.KEY_FORM


@pytest.mark.parametrize(
    "public", [ec.generate_private_key(ec.SECP256K1()), ed448.Ed448PrivateKey.generate()]
)
def test_a_key_of_another_curve_is_refused(public: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey):
    public_der = der_of(public.public_key())
    assert algorithm_of(public_der) is None
    assert {refusal_of(public_der, algorithm) for algorithm in Algorithm} == {Refusal.KEY_FORM}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_has_one_encoding(algorithm: Algorithm):
    public_der = SigningKey.generate(algorithm).public_der
    long_length = bytes((0x30, 0x81)) + public_der[1:]  # BER would allow it
    for wrong in (
        b"",
        public_der[:-1],
        public_der + bytes(1),
        bytes(1) + public_der,
        long_length,
        public_der[10:],
    ):
        assert refusal_of(wrong, algorithm) is Refusal.KEY_FORM


def test_a_compressed_point_is_refused():
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    public_der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    assert isinstance(
        serialization.load_der_public_key(public_der), ec.EllipticCurvePublicKey
    )  # OpenSSL takes it
    assert refusal_of(public_der, Algorithm.ESP256) is Refusal.KEY_FORM


@pytest.mark.parametrize(("curve", "algorithm"), [(P256, Algorithm.ESP256), (P384, Algorithm.ESP384)])
def test_a_point_off_the_curve_is_refused(curve: Curve, algorithm: Algorithm):
    public_der = SigningKey.generate(algorithm).public_der
    bent = public_der[:-1] + bytes((public_der[-1] ^ 1,))
    for wrong in (
        bent,
        curve.public_der(bytes(curve.point_bytes)),
        curve.public_der(b"\xff" * curve.point_bytes),
    ):
        assert refusal_of(wrong, algorithm) is Refusal.KEY_OFF_CURVE


def test_a_coordinate_above_the_prime_is_refused():
    p, b = (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    )
    x = 5
    y = pow(x**3 - 3 * x + b, (p + 1) // 4, p)
    assert y * y % p == (x**3 - 3 * x + b) % p
    point = [P256.public_der(one.to_bytes(32, "big") + y.to_bytes(32, "big")) for one in (x, x + p)]
    assert KeyRecord.of(point[0], algorithm=Algorithm.ESP256, use="scan", owner="gate").public_der == point[0]
    assert refusal_of(point[1], Algorithm.ESP256) is Refusal.KEY_OFF_CURVE


# Every encoding of the eight points of small order, those with y above the prime and with a sign on x = 0 included.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
@pytest.mark.parametrize("algorithm", [Algorithm.ED25519, Algorithm.EDDSA])
def test_an_ed25519_key_of_small_order_is_refused(point: str, algorithm: Algorithm):
    assert refusal_of(ED25519.public_der(bytes.fromhex(point)), algorithm) is Refusal.KEY_SMALL_ORDER


def test_the_points_of_order_eight_double_to_points_of_order_four():
    # 2P = (.., (y^2 + x^2) / (1 - d x^2 y^2)): its y is 0 (order 4) exactly when x^2 = -y^2, so d y^4 + 2 y^2 = 1.
    d = -121665 * pow(121666, -1, ED_P)
    for point in SMALL_ORDER[10:]:
        y = int.from_bytes(bytes.fromhex(point), "little") & (1 << 255) - 1
        assert (d * y**4 + 2 * y**2 - 1) % ED_P == 0


def test_openssl_takes_a_forgery_for_a_key_of_small_order():
    # Why they are refused: with A = R = the neutral point and S = 0, every message verifies.
    neutral = bytes.fromhex(SMALL_ORDER[0])
    ed25519.Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"open all doors")


def test_an_ed25519_key_off_the_curve_or_above_the_prime_is_refused():
    two = ED25519.public_der((2).to_bytes(32, "little"))
    assert refusal_of(two, Algorithm.ED25519) is Refusal.KEY_OFF_CURVE
    codes = {
        refusal_of(ED25519.public_der(y.to_bytes(32, "little")), Algorithm.ED25519)
        for y in range(ED_P + 2, 2**255)
    }
    assert codes == {Refusal.KEY_FORM}


def test_no_good_ed25519_key_is_refused():
    for number in range(32):
        key = SigningKey.generate(Algorithm.ED25519)
        assert key.record(use="scan", owner=str(number)).kid == key.kid


def test_a_record_cannot_be_changed_nor_made_to_lie():
    record = SigningKey.generate(Algorithm.ESP256).record(use="scan", owner="gate")
    with pytest.raises(FrozenInstanceError):
        record.use = "decision"  # type: ignore[misc]
    with pytest.raises(KeyRefusedError):
        replace(record, public_der=record.public_der[:-1])
    with pytest.raises(KeyRefusedError):
        replace(record, algorithm=Algorithm.ED25519)
    other = SigningKey.generate(Algorithm.ESP256)
    assert replace(record, public_der=other.public_der).kid == other.kid


def test_a_key_ring_finds_a_record_by_its_kid_and_nothing_else():
    records = [
        SigningKey.generate(algorithm).record(use="scan", owner=algorithm.name) for algorithm in Algorithm
    ]
    ring = key_ring([*records, records[0]])
    assert [ring[record.kid] for record in records] == records
    assert len(ring) == len(records)
    assert ring.get(records[0].kid[:7]) is None
    with pytest.raises(TypeError):
        ring[b"12345678"] = records[0]  # type: ignore[index]


def test_a_key_ring_refuses_one_key_with_two_records():
    record = SigningKey.generate(Algorithm.ES256).record(use="scan", owner="gate")
    for other in (
        replace(record, use="decision"),
        replace(record, owner="another gate"),
        replace(record, algorithm=Algorithm.ESP256),
    ):
        with pytest.raises(KeyRefusedError) as refused:
            key_ring([record, other])
        assert refused.value.code is Refusal.KEY_ID_CLASH


def test_an_ecdsa_signature_is_r_then_s():
    private = ec.generate_private_key(ec.SECP256R1())
    r, s = decode_dss_signature(private.sign(b"message", P256.scheme))
    assert SigningKey(private, Algorithm.ESP256).sign(b"message") == r.to_bytes(32, "big") + s.to_bytes(
        32, "big"
    )
