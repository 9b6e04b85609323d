"""Whether the annotations of a data set count pixels from 0 or from 1."""

from collections.abc import Iterable

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import Problems

# Slips of single boxes are no convention.
_MIN_FILES, _MIN_SHARE = 3, 0.01


def notice_counting_from_0(
    annotations: Iterable[list[DrawnObject]], problems: Problems, name: str
) -> None:
    """Counts a data set as `counted_from_0` if its boxes seem to be.

    Boxes at the left or upper border begin at 0 then, and at 1 where pixels count from
    1. Both are whole pixels there, whatever the objects.

    Args:
        annotations: the objects of each file, as written.
        problems: records `counted_from_0`, once.
        name: of the data set.
    """
    starts = [{v for drawn in one for v in drawn.corners[:2]} for one in annotations]
    at_0 = sum(any(0 <= value < 1 for value in values) for values in starts)
    at_1 = sum(1 in values for values in starts)
    if at_0 >= _MIN_FILES and at_0 > at_1 and at_0 >= _MIN_SHARE * len(starts):
        problems.add(
            "counted_from_0",
            name,
            f"in {at_0} of {len(starts)} files a box begins at pixel 0, in {at_1} at "
            "pixel 1: the tool counts from 0; set one_based: false (data.one_based)",
        )
