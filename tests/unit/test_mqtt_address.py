import pytest

from gatekeeper.adapters.mqtt.address import BrokerAddress, InvalidAddressError


@pytest.mark.parametrize(
    ("url", "host", "port", "encrypted", "username", "password"),
    [
        ("mqtt://127.0.0.1", "127.0.0.1", 1883, False, None, None),
        ("mqtts://broker.example", "broker.example", 8883, True, None, None),
        ("mqtts://broker.example:8884/", "broker.example", 8884, True, None, None),
        ("mqtt://service@host:1884", "host", 1884, False, "service", None),
        ("mqtt://service:p%40ss%2Fw%3Ard@host", "host", 1883, False, "service", "p@ss/w:rd"),
        ("mqtt://[::1]:1884", "::1", 1884, False, None, None),
    ],
)
def test_a_broker_url_is_read_whole(
    url: str,
    host: str,
    port: int,
    encrypted: bool,  # noqa: FBT001
    username: str | None,
    password: str | None,
) -> None:
    address = BrokerAddress.parse(url)
    assert (address.host, address.port, address.encrypted) == (host, port, encrypted)
    assert (address.username, address.password) == (username, password)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "http://user:hunter2@host",
        "mqtt://",
        "mqtt://user:hunter2@:1883",
        "mqtt://user:hunter2@host:port",
        "mqtt://user:hunter2@host:0",
        "mqtt://user:hunter2@host:70000",
        "mqtt://user:hunter2/x@host",
        "mqtt://user:hunter2@host/path",
        "mqtt://user:hunter2@host?clientid=x",
        "mqtt://:hunter2@host",
    ],
)
def test_an_unusable_url_is_refused_with_a_sentence_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(InvalidAddressError) as refusal:
        BrokerAddress.parse(url)
    assert str(refusal.value).endswith(".")
    assert "hunter2" not in str(refusal.value)


def test_a_password_given_apart_wins_and_is_never_shown() -> None:
    address = BrokerAddress.parse("mqtt://service:old@host", password="hunter2")
    assert address.password == "hunter2"
    assert "hunter2" not in repr(address)
    assert str(address) == "mqtt://host:1883"


def test_an_address_as_text_can_be_read_again() -> None:
    assert BrokerAddress.parse(str(BrokerAddress.parse("mqtts://[::1]:99"))).port == 99
