"""The range of the limits on incoming data."""

# From one byte or pixel to more than any machine decodes.
MEGABYTES = MEGAPIXELS = (1e-6, 1e6)


def require_within(what: str, value: float, limits: tuple[float, float]) -> None:
    """Raises a ValueError for a number outside the limits, and for NaN.

    Args:
        what: the number's name in messages.
        value: the number.
        limits: the smallest and the largest that are allowed.
    """
    smallest, largest = limits
    if not smallest <= value <= largest:
        raise ValueError(f"{what} = {value} must lie in [{smallest:g}, {largest:g}].")
