"""What the service says of its database: its loss and its return, once each."""

from structlog.testing import capture_logs

from gatekeeper.observe.health import Health


def test_the_loss_of_the_database_is_a_warning_and_its_return_is_told_once_each():
    health = Health()
    with capture_logs() as logs:
        health.database_answered()
        for _ in range(3):
            health.database_is_away()
        assert not health.database
        for _ in range(3):
            health.database_answered()
        assert health.database
        health.database_is_away()
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "the database does not answer"),
        ("info", "the database answers again"),
        ("warning", "the database does not answer"),
    ]
