"""SQL is SQL: named queries from the `.sql` files of an adapter.

    -- name: newest_checkpoint
    -- The last signed checkpoint of a tree.
    SELECT ...;

One that begins with `-- continues: another` is that other's WITH list and its own, in one statement. The other stands before
it in the file, and of its lines only the last one begins with SELECT.

It knows no database and no driver.
"""

import re
from collections.abc import Iterator
from importlib.resources import files

__all__ = ["Queries"]

_NAME = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)
_CONTINUES = re.compile(r"-- continues: ([a-z_]+)\n")
_END_OF_WITH = "\nSELECT "


class Queries:
    """The queries of one package's `.sql` files, by name."""

    def __init__(self, package: str, *names: str) -> None:
        self._texts: dict[str, str] = {}
        for name in names:
            parts = _NAME.split(files(package).joinpath("queries", f"{name}.sql").read_text("utf-8"))
            for query, text in zip(parts[1::2], parts[2::2], strict=True):
                if query in self._texts:
                    raise ValueError(f"the query {query} stands in two places")
                self._texts[query] = self._whole(text.strip().rstrip(";"))

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"there is no query {name}") from None

    def _whole(self, text: str) -> str:
        continues = _CONTINUES.match(text)
        if continues is None:
            return text
        begun, _, _ = self._texts[continues[1]].rpartition(_END_OF_WITH)
        return f"{begun}, {text[continues.end() :]}"

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._texts))
