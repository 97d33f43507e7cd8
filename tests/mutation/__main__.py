"""`python -m tests.mutation [WORD...]`: what became of the changes that `make mutants` made.

A table per module; then, of modules whose path holds one of the words (without words: of all), each change that no test
noticed, with what it changed. SURVIVORS.md explains those that are right to survive.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

COPY = Path("mutants")
COLUMNS = ("killed", "caught by type check", "timeout", "survived", "no tests", "not checked")


def verdicts() -> dict[Path, dict[str, str]]:
    """Of each module that was changed: each change, and what became of it."""
    found: dict[Path, dict[str, str]] = {}
    for meta in sorted(COPY.glob("gatekeeper/core/**/*.meta")):
        exits = json.loads(meta.read_text())["exit_code_by_key"]
        if exits:
            found[meta.relative_to(COPY).with_suffix("")] = {
                name: status_by_exit_code[code] for name, code in exits.items()
            }
    return found


def table(found: dict[Path, dict[str, str]]) -> str:
    """The figures, as Markdown; a change that ended in any other way stands under `other`."""
    rows = [("module", "changes", *COLUMNS, "other")]
    counts = {str(path): Counter(by_name.values()) for path, by_name in found.items()}
    counts["all"] = sum(counts.values(), Counter())
    for module, counted in counts.items():
        known = [counted[column] for column in COLUMNS]
        other = counted.total() - sum(known)
        rows.append((module, *map(str, (counted.total(), *known, other))))
    rows.insert(1, ("---",) * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def survivors(found: dict[Path, dict[str, str]], words: list[str]) -> list[str]:
    """Each change that nobody noticed: its name, and the lines that differ."""
    said: list[str] = []
    for path, by_name in found.items():
        if words and not any(word in str(path) for word in words):
            continue
        for name, verdict in by_name.items():
            if verdict in {"survived", "no tests", "suspicious", "segfault"}:
                lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
                said += [f"\n{name}: {verdict}", *(line for line in lines if line[:1] in {"+", "-"})]
    return said


def main(words: list[str]) -> None:
    """Print both."""
    found = verdicts()
    sys.stdout.write("\n".join([table(found), *survivors(found, words)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
