"""Words for a person: numbers with what they count, and what strangers wrote made fit to stand in a sentence."""

__all__ = ["counted", "shown"]

_LONGEST = 64


def shown(value: object) -> str:
    """What a stranger wrote, fit to stand in a sentence: short, on one line, and nothing that moves a terminal."""
    match value:
        case None:
            return "nothing"
        case str():
            text = "".join(letter if letter.isprintable() else "?" for letter in value[: _LONGEST + 1])
            return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
        case int() | float():
            return str(value).lower()
        case _:
            return "something else"


def counted(count: int, one: str, more: str = "") -> str:
    """So many of something, in words that go with the number."""
    return f"{count} {one if count == 1 else more or one + 's'}"
