"""A storage that Beam knows by its scheme, and that is the files of this machine."""

from apache_beam.io.localfilesystem import LocalFileSystem

_SCHEME = "store"
_START = f"{_SCHEME}://"


class RemoteFiles(LocalFileSystem):
    """Has store:///a/b where the files have /a/b; Beam finds the class by its base."""

    @classmethod
    def scheme(cls):
        return _SCHEME

    def open(self, path, *rest, **settings):
        return super().open(_own(path), *rest, **settings)

    def create(self, path, *rest, **settings):
        return super().create(_own(path), *rest, **settings)

    def exists(self, path):
        return super().exists(_own(path))

    def metadata(self, path):
        found = super().metadata(_own(path))
        found.path = path
        return found

    def mkdirs(self, path):
        super().mkdirs(_own(path))

    def rename(self, sources, targets):
        super().rename([*map(_own, sources)], [*map(_own, targets)])

    def delete(self, paths):
        super().delete([*map(_own, paths)])

    def split(self, path):
        folder, name = super().split(_own(path))
        return _START + folder, name

    def _list(self, folder):
        for found in super()._list(_own(folder)):
            found.path = _START + found.path
            yield found


def address_of(path):
    """Returns the address of a file or a folder."""
    return f"{_START}{path}"


def _own(path):
    return path.removeprefix(_START)
