import pytest

from tf_frcnn.export.limits import MEGAPIXELS, require_within


@pytest.mark.parametrize("value", [1e-6, 0.5, 50, 1e6])
def test_numbers_within_and_at_the_limits_are_allowed(value):
    assert require_within("x: megapixels", value, MEGAPIXELS) is None


@pytest.mark.parametrize(
    "value", [0, -1.0, 1e-9, 2e6, float("inf"), float("-inf"), float("nan")]
)
def test_other_numbers_are_refused_with_the_limits(value):
    with pytest.raises(ValueError) as error:
        require_within("x: megapixels", value, MEGAPIXELS)
    assert str(error.value) == f"x: megapixels = {value} must lie in [1e-06, 1e+06]."
