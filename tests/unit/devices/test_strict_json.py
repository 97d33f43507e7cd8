"""JSON of devices, read strictly, and the text of a value as it stands."""

import pytest

from devices.bridges.strict_json import members, read_object

WRONG = [
    b"",
    b"\xff",
    b"null",
    b"[]",
    b"1",
    b'"a"',
    b"{",
    b"{}}",
    b"{} {}",
    b'{"a":1,}',
    b'{"a":1 "b":2}',
    b'{"a" 1}',
    b'{"a":}',
    b"{a:1}",
    b"{1:1}",
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1,"a":2}',
    b'{"b":{"a":1,"a":2}}',
    b'{"b":' + b"[" * 4000,
    b"{" * 4000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b'{"a":' + b"9" * 5000 + b"}",
    b"\xef\xbb\xbf{}",
    b'{"a":1}\0',
    "{\u00a0}".encode(),
]


@pytest.mark.parametrize("payload", WRONG)
def test_what_is_not_one_object_with_each_name_once_is_refused(payload: bytes):
    with pytest.raises(ValueError):
        read_object(payload)
    with pytest.raises(ValueError):
        members(payload)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"message":{"a":1}}', '{"a":1}'),
        (b'{"message": {"a": 1 }}', '{"a": 1 }'),
        (b' { "message" :\t{ "a":\n1.0 } , "hmac":"}" }\r\n', '{ "a":\n1.0 }'),
        (b'{"hmac":"}","message":[1, 2]}', "[1, 2]"),
        (b'{"message":"a } \\" , b"}', '"a } \\" , b"'),
        (b'{"message":{"m":{"message":2}}}', '{"m":{"message":2}}'),
        (b'{"message":1e3}', "1e3"),
        ('{"message":{"é":"\\u00e9"}}'.encode(), '{"é":"\\u00e9"}'),
        (b'{"message":true}', "true"),
    ],
)
def test_the_text_of_a_value_is_what_stands_there(payload: bytes, text: str):
    found = members(payload)
    assert found["message"].text == text
    assert found["message"].value == read_object(payload)["message"]


def test_an_escaped_name_is_the_name():
    assert members(b'{"messag\\u0065":1}').keys() == {"message"}
    with pytest.raises(ValueError, match="twice"):
        members(b'{"messag\\u0065":1,"message":2}')
