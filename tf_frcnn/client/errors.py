"""The errors that a server returns instead of detections."""

import re

_REFUSAL = re.compile(r"image_bytes\[(\d{1,9})\]: ([^\]\\\n]{1,400})")
# Bytes of an answer, which has a few hundred for a detection.
MAX_ANSWER = 2**26
_MOST_SHOWN = 400  # characters
_ADVICE = {
    "DEADLINE_EXCEEDED": "; check its address, or give it more time with --timeout",
    "INVALID_ARGUMENT": "; is it a model that tf-frcnn exported?",
    "NOT_FOUND": "; check --model and --version",
    "UNAVAILABLE": "; is the server running, and is this its address?",
}


class ServerError(RuntimeError):
    """A server cannot be reached, or returns no detections."""


class RefusedImageError(ServerError):
    """A server refuses a request because of one of its images.

    Attributes:
        index: of the image. A server that joins requests of several clients counts in
            the batch that it made.
        reason: in the server's words.
    """

    def __init__(self, index: int, reason: str):
        super().__init__(f"image {index} of the request is refused: {reason}")
        self.index, self.reason = index, reason


def server_error(address: str, code: str, message: str) -> ServerError:
    """Returns the error for a server's answer.

    Args:
        address: of the model.
        code: name of a gRPC status, or an HTTP status.
        message: in the server's words.
    """
    if code == "INVALID_ARGUMENT" and (refusal := _REFUSAL.search(message)):
        return RefusedImageError(int(refusal[1]), printable(refusal[2]))
    words = printable(message)
    if len(words) > _MOST_SHOWN:
        words = f"{words[:_MOST_SHOWN]} ..."
    return ServerError(f"{address}: {code}: {words}{_ADVICE.get(code, '')}")


def printable(text: str) -> str:
    """Returns a server's text as one line that no terminal takes for commands."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def require_at_least(least: float, **settings: float) -> None:
    """Raises a ValueError for the first option below its minimum."""
    for name, value in settings.items():
        if not value >= least:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} {value}: it must be at least {least}.")
