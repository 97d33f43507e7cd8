"""Where things stand in a site file: as near as people write them."""

import pytest

from gatekeeper.model.site_file import Lines
from gatekeeper.model.site_file.lines import Place

TEXT = """\
# a site
[site]
id = "fort"
[[zone]]
id = "yard"
  level = 1
[zone.rules]
search = { one_in = 2 }

[[zone]]    # the second
id = "vault"
[zone.rules]
pin = "always"
[population]
seed = 7
[[population.group]]
tenant = "army"
[[population.group]]
tenant = "school"
count = 3
"""


@pytest.mark.parametrize(
    ("place", "key", "line"),
    [
        (("site",), "", 2),
        (("site",), "id", 3),
        (("zone", 1), "", 4),
        (("zone", 1), "id", 5),
        (("zone", 1), "level", 6),
        (("zone", 2), "", 10),
        (("zone", 2), "id", 11),
        (("zone", 1, "rules"), "search", 8),
        (("zone", 2, "rules"), "pin", 13),
        (("population",), "seed", 15),
        # What is not found has the line of what is around it.
        (("zone", 2), "level", 10),
        (("zone", 2, "rules"), "search", 12),
        (("zone", 2, "name"), "en", 10),
    ],
)
def test_a_table_and_a_key_have_their_line(place: Place, key: str, line: int):
    assert Lines.of(TEXT, file="site.toml").pointing(place, key) == f"site.toml:{line}"


@pytest.mark.parametrize(("place", "key"), [(("gate", 1), "id"), ((), "colour"), (("zone", 3), "")])
def test_what_is_nowhere_has_the_files_name_alone(place: Place, key: str):
    assert Lines.of(TEXT, file="site.toml").pointing(place, key) == "site.toml"


def test_a_key_before_any_table_is_the_files_own():
    assert Lines.of("colour = 1\n[site]\n", file="site.toml").pointing((), "colour") == "site.toml:1"


def test_the_first_of_two_lines_counts():
    assert Lines.of("[site]\nid = 1\nid = 2\n", file="f").pointing(("site",), "id") == "f:2"
