"""What a superuser does to the log, and who finds it out: the table in SECURITY.md is what these tests find.

`python -m tests.drill` writes it anew. What each attack does, and who looks, stands in `tests/drill`.
"""

from dataclasses import astuple

import pytest

from gatekeeper.embedded import EmbeddedPostgres
from tests.drill.attacks import ATTACKS
from tests.drill.judges import NOT_CAUGHT, Outcome, judged
from tests.drill.table import SECURITY, row_of, rows_in, with_table

pytestmark = pytest.mark.integration


async def test_of_a_sound_log_every_judge_says_that_it_is_true(postgres_server: EmbeddedPostgres):
    assert set(astuple(await judged(postgres_server, None))) == {"true"}


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_found_out_by_whom_the_document_says(name: str, postgres_server: EmbeddedPostgres):
    outcome = await judged(postgres_server, ATTACKS[name])
    assert row_of(name, outcome) in rows_in(SECURITY.read_text())
    assert NOT_CAUGHT not in {outcome.witnessed, outcome.cosigned}, (
        "a witness who has cosigned what was altered is never deceived"
    )


def test_the_document_tells_of_every_attack_once_and_of_no_other():
    told = [row.split(" | ")[0].removeprefix("| ") for row in rows_in(SECURITY.read_text())]
    assert told == list(ATTACKS)


def test_a_table_written_anew_is_read_back_and_leaves_the_rest_alone():
    document = SECURITY.read_text()
    outcome = Outcome(alone="a", remembered="b", witnessed="c", database="d", recalled="e", cosigned="f")
    anew = with_table(document, {"this": outcome, "that": outcome})
    assert rows_in(anew) == ["| this | a | b | c | d | e | f |", "| that | a | b | c | d | e | f |"]
    emptied = with_table(anew, {})
    assert rows_in(emptied) == []
    for row in rows_in(document):
        document = document.replace(f"{row}\n", "", 1)
    assert emptied == document
    assert with_table(emptied, {"this": outcome, "that": outcome}) == anew
