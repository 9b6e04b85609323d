"""Files of PyTorch written by hand, without PyTorch: true ones and others."""

import zipfile


def number(value):
    return b"I%d\n" % value


def text(value):
    return b"V%s\n" % value.encode()


def names(*parts):
    """Returns a pickle's reference to a name of a module."""
    return b"c%s\n%s\n" % tuple(part.encode() for part in parts)


def values(*parts):
    """Returns a pickle's tuple."""
    return b"(%st" % b"".join(parts)


def call(function, *arguments):
    return function + values(*arguments) + b"R"


def storage(kind="FloatStorage", key="0", count=4):
    parts = (text("storage"), names("torch", kind), text(key), text("cpu"))
    return values(*parts, number(count)) + b"Q"


def tensor(stored=None, offset=0, size=(2, 2), stride=(2, 1), *more):
    """Returns a pickled tensor; by default all of a storage of four numbers."""
    return call(
        names("torch._utils", "_rebuild_tensor_v2"),
        storage() if stored is None else stored,
        number(offset),
        values(*map(number, size)),
        values(*map(number, stride)),
        b"I00\n",
        b"N",
        *more,
    )


def dictionary(**items):
    """Returns a whole pickle of a dictionary of pickled values."""
    pairs = [text(name) + value for name, value in items.items()]
    return b"(%sd." % b"".join(pairs)


def write_zip(path, pickled, storages, *, order=None, compression=zipfile.ZIP_STORED):
    """Writes an archive as PyTorch does.

    Args:
        path: of the file.
        pickled: the bytes of the pickle.
        storages: key -> bytes.
        order: of the bytes in a number, "little" or "big"; None for an archive that
            does not say.
        compression: of `zipfile`.
    """
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("name/data.pkl", pickled)
        for key, content in storages.items():
            archive.writestr(f"name/data/{key}", content)
        if order:
            archive.writestr("name/byteorder", order)
        archive.writestr("name/version", "3\n")
    return path
