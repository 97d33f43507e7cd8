"""What a bridge notices is counted each time, and said once; what every device does all day is only counted."""

import pytest
from structlog.testing import capture_logs

from devices.bridges.notices import Notices
from devices.bridges.overheard import Overheard


@pytest.mark.parametrize("what", sorted(set(Overheard) - {Overheard.OTHER, Overheard.REPEATED}))
def test_what_is_worth_a_word_is_said_once(what: Overheard):
    with capture_logs() as said:
        notices = Notices("esp-rfid")
        for _ in range(3):
            notices.notice(what)
    assert notices.counted == {what: 3}
    assert [(line["log_level"], line["bridge"], line["noticed"]) for line in said] == [
        ("warning", "esp-rfid", what.value)
    ]


@pytest.mark.parametrize("what", [Overheard.OTHER, Overheard.REPEATED])
def test_what_every_device_does_all_day_is_not_said(what: Overheard):
    with capture_logs() as said:
        notices = Notices("uhppoted")
        notices.notice(what)
    assert (notices.counted, said) == ({what: 1}, [])
