"""Class names that seem to mean the same, or no object at all."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import combinations

_BACKGROUND = {"background", "bg"}
# Of shorter names too many pairs differ in one letter, as cat and car.
_MIN_LETTERS = 5


def plain(name: str) -> str:
    """Returns a name without case, blanks, - and _; between digits these count."""
    name = unicodedata.normalize("NFKC", name).casefold()
    name = re.sub(r"(?<!\d)[\s_-]+|[\s_-]+(?!\d)", "", name)
    return re.sub(r"[\s_-]+", "-", name)


def is_background(name: str) -> bool:
    """Says whether a name is that of the background, such as "__background__"."""
    return plain(name) in _BACKGROUND


def near_equal_pairs(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yields (name, name, how they differ) of pairs that are likely to mean the same.

    The difference is "case or blanks", "singular and plural" or "one letter".
    """
    plain_names = [(plain(name), name) for name in names]
    for (own, first), (its, second) in combinations(plain_names, 2):
        one, other = sorted((own, its), key=len)
        if one == other:
            yield first, second, "case or blanks"
        elif other in (f"{one}s", f"{one}es", re.sub("y$", "ies", one)):
            yield first, second, "singular and plural"
        elif len(one) >= _MIN_LETTERS and _differs_in_a_letter(one, other):
            yield first, second, "one letter"


def _differs_in_a_letter(one: str, other: str) -> bool:
    """Says whether one letter is exchanged, missing, or swapped with the next.

    Digits are no slips: "speed30" and "speed80" are two classes.

    Args:
        one: the shorter name.
        other: the longer name.
    """
    ends = range(len(one))
    start = next((n for n in ends if one[n] != other[n]), len(one))
    rest, other_rest = one[start:], other[start:]
    is_exchanged = len(rest) == len(other_rest) and rest[1:] == other_rest[1:]
    is_missing = rest == other_rest[1:]
    is_swapped = rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:]
    changed = rest[:1] + other_rest[:1]
    return (is_exchanged or is_missing or is_swapped) and changed.isalpha()
