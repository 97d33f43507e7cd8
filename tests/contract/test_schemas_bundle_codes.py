"""The page about bundles lists every fault that a verifier can find, in its words."""

import re
from pathlib import Path

from gatekeeper.service.auditor import Fault
from gatekeeper.transparency import Refusal

PAGE = Path(__file__).parents[2] / "schemas" / "bundle.md"


def test_the_page_lists_every_fault_and_no_other():
    listed = re.findall(
        r"^\| `([a-z]+(?:-[a-z]+)*)` \| (.*) \|$", PAGE.read_text().split("| code |")[1], re.MULTILINE
    )
    assert listed == [(fault.value, fault.sentence) for fault in Fault]


def test_no_code_means_two_things():
    assert not {fault.value for fault in Fault} & {refusal.value for refusal in Refusal}
