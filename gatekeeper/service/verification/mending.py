"""Whether tiles and heads may be written anew from the bodies, and by whom the bodies are vouched for.

Bodies are what signed checkpoints vouch for; tiles and heads follow from them. So they may be written anew when nothing
else is wrong, every signed checkpoint agrees with the rebuilt trees, and no tree ends further on than its own head or a
signed checkpoint says: else what somebody slipped in would become a part of the log.
"""

from collections.abc import Iterator

from gatekeeper.service.verification.claims import Claimed, Report
from gatekeeper.service.words import counted, shown

__all__ = ["mendable_problems", "objections", "until"]


def until(claimed: Claimed, tree: str) -> int:
    """How far to read a site's log when its head is not believed: as far as there are bodies, or should be."""
    size, _ = claimed.heads.get(tree, (0, b""))
    start, _ = claimed.starts.get(tree, (0, b""))
    return max(size, start + claimed.entries)


def mendable_problems(report: Report) -> int:
    """How many of the problems are tiles and heads."""
    return len(report.wrong_tiles) + len(report.wrong_heads)


def objections(report: Report, claimed: Claimed) -> list[str]:
    """Why tiles and heads may not be written anew; none when they may."""
    others = len(report.problems) - mendable_problems(report)
    found = []
    if others:
        found.append(
            f"{counted(others, 'other problem')} would remain, and what is wrong with the bodies is not mended by hashing them"
        )
    return [*found, *_unvouched(report, claimed)]


def _unvouched(report: Report, claimed: Claimed) -> Iterator[str]:
    signed = _signed_sizes(claimed)
    wrong = {tile.tree for tile in report.wrong_tiles} | {head.tree for head in report.wrong_heads}
    for tree in sorted(wrong):
        if tree not in signed and not _is_stray(report, tree):
            yield f"no signed checkpoint vouches for {shown(tree)}"
    for head in report.wrong_heads:
        said, _ = claimed.heads.get(head.tree, (0, b""))
        vouched = max(said, signed.get(head.tree, 0))
        if head.size > vouched:
            yield (
                f"{shown(head.tree)} has {counted(head.size - vouched, 'body', 'bodies')} beyond its head and every signed"
                " checkpoint"
            )


def _signed_sizes(claimed: Claimed) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for tree, size, _, _ in claimed.checkpoints:
        sizes[tree] = max(size, sizes.get(tree, 0))
    return {tree: size for tree, size in sizes.items() if size}


def _is_stray(report: Report, tree: str) -> bool:
    """Whether a tree is one that no body makes, of which everything goes."""
    heads = [head.root for head in report.wrong_heads if head.tree == tree]
    tiles = [tile.hashes for tile in report.wrong_tiles if tile.tree == tree]
    return not any((*heads, *tiles))
