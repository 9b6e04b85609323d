"""Text of files that annotation tools and shells write in many encodings."""

import codecs
import re
from pathlib import Path

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.checks.regular_files import read_regular_file

# Marks at the beginning of a file, and how UTF-16 without one begins with a letter.
_MARKS = (
    (re.compile(rb"\xef\xbb\xbf"), "utf-8-sig"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "utf-16"),
    (re.compile(rb"[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[^\0]"), "utf-16-be"),
)
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
# What programs write under the older names. Source: WHATWG Encoding, section 4.2.
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}


def decode_xml(data: bytes) -> str:
    """Returns the text of an XML file in the encoding that it declares.

    Raises:
        ValueError: the encoding is not known or is not that of the file; the message is
            the reason.
    """
    encoding = _mark_of(data)
    if encoding is None:
        declared = _DECLARATION.match(data)
        encoding = _known(declared[1].decode()) if declared else "utf-8"
    try:
        return data.decode(encoding).lstrip()
    except UnicodeDecodeError as error:
        if _DECLARATION.match(data):
            reason = f"it declares the encoding {encoding}, but is not written in it"
        else:
            reason = "it declares no encoding and is not UTF-8; save it as UTF-8"
        raise ValueError(reason) from error


def read_list(path: Path) -> list[str]:
    """Returns the lines of a text file in UTF-8 or UTF-16.

    Raises:
        DataError: it is neither, or cannot be read.
    """
    try:
        data = read_regular_file(path)
        return data.decode(_mark_of(data) or "utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is neither UTF-8 nor UTF-16 text; save it as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}.") from error


def _mark_of(data: bytes) -> str | None:
    return next((name for mark, name in _MARKS if mark.match(data)), None)


def _known(declared: str) -> str:
    """Returns Python's name of a declared encoding, or of a wider one."""
    try:
        name = codecs.lookup(declared).name
    except LookupError as error:
        raise ValueError(
            f"it declares the encoding {declared!r}, which is not known; save it as "
            "UTF-8"
        ) from error
    # A declaration that reads as ASCII is not in UTF-16, whatever it says.
    return "utf-8" if name.startswith("utf-16") else _WIDER.get(name, name)
