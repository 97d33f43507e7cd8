"""What lies in every bundle: how to check it with stock tools, and a program that does so without this one.

Both follow from the manifest alone, before anything is counted, so that they can stand first in the file.
"""

import textwrap
from functools import cache
from importlib.resources import files
from typing import Final

from gatekeeper.core.export import Manifest, bewijst, proves

__all__ = ["verify_program", "verify_text"]

_NOT_NAMED: Final = "NAME+KEYID+BASE64"


def verify_program() -> bytes:
    """The bytes of `verify.py`."""
    return _resource("verify.py")


def verify_text(manifest: Manifest) -> bytes:
    """The bytes of `VERIFY.txt`."""
    text = _resource("VERIFY.txt").decode()
    segment = f"{manifest.range[0]:012}"
    places = {
        "@ORIGIN@": manifest.origin,
        "@SIZE@": str(manifest.size),
        "@ROOT@": manifest.root.hex(),
        "@SEGMENT@": segment,
        "@KEY@": manifest.key or _NOT_NAMED,
        "@PROVES@": _listed(proves(manifest)),
        "@BEWIJST@": _listed(bewijst(manifest)),
    }
    for place, said in places.items():
        text = text.replace(place, said)
    return text.encode()


@cache
def _resource(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()


def _listed(sentences: list[str]) -> str:
    return "\n".join(
        textwrap.fill(
            sentence,
            width=100,
            initial_indent="  - ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for sentence in sentences
    )
