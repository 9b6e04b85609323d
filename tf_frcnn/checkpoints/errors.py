"""The error of files of weights, and the words of its messages."""


class CheckpointError(ValueError):
    """A file of weights cannot be read, or is not what it was said to be."""


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type where it has none."""
    return (str(error) or type(error).__name__).splitlines()[0]


def listed(names, most: int = 8) -> str:
    """Joins names for a message, of many only the first."""
    names = list(map(str, names))
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
