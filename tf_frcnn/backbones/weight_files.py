"""Files of weights whose numbers are their own, and no more than they have room for."""

import h5py

# Weights that are compressed, or are stored once and have two names, take more memory
# than the file has bytes; a trap takes thousands of times as much.
_TIMES = 4
_SPARE = 2**20  # bytes


def require_room(claimed: int, size: int) -> None:
    """Raises a ValueError if the weights of a file are much larger than the file.

    Args:
        claimed: bytes of the weights in memory.
        size: bytes of the file.
    """
    if claimed > _TIMES * size + _SPARE:
        raise ValueError(
            f"its weights are to take {claimed} bytes of memory, but it has {size}"
        )


def require_own_numbers(file: h5py.File, size: int) -> None:
    """Raises a ValueError if a file refers to others, or is a trap for the memory.

    Args:
        file: the open file.
        size: of the file in bytes.
    """
    claimed = 0

    def visit_link(name, link):
        if not isinstance(link, h5py.HardLink):
            return f"{name} is a link to another place, which is not read"
        return None

    def visit(name, item):
        nonlocal claimed
        if isinstance(item, h5py.Dataset) and item.size:
            if item.external or item.is_virtual:
                return f"{name} lies in other files, which are not read"
            claimed += item.size * item.dtype.itemsize
        return None

    if fault := file.visititems_links(visit_link) or file.visititems(visit):
        raise ValueError(fault)
    require_room(claimed, size)
