import math

import pytest

from tf_frcnn.config.rules import (
    ConfigError,
    choice,
    distinct,
    flag,
    mapping,
    number,
    optional,
    rising,
    sequence,
    text,
)

SHARE, COUNT = number("(0, 1]"), number("[1, inf)", whole=True)
BELOW_ONE, POSITIVE = number("[0, 1)"), number("(0, inf)")

ALLOWED = [
    (SHARE, 1, 1.0),
    (SHARE, 0.5, 0.5),
    (BELOW_ONE, 0, 0.0),
    (COUNT, 1, 1),
    (flag, False, False),
    (text, "VOC 2007", "VOC 2007"),
    (choice("crop", "align"), "align", "align"),
    (optional(SHARE), None, None),
    (optional(SHARE), 1, 1.0),
    (sequence(SHARE), [], ()),
    (sequence(SHARE), [1, 0.5], (1.0, 0.5)),
    (sequence(sequence(COUNT, length=2)), [[3, 4]], ((3, 4),)),
    (rising(sequence(POSITIVE)), [1, 2.5], (1.0, 2.5)),
    (distinct(sequence(text)), ["b", "a"], ("b", "a")),
    (mapping(SHARE), {"a": 1}, {"a": 1.0}),
]


@pytest.mark.parametrize(("rule", "value", "expected"), ALLOWED)
def test_a_rule_returns_what_it_allows_in_its_final_type(rule, value, expected):
    found = rule("s.f", value)
    assert found == expected
    assert type(found) is type(expected)


def test_whole_numbers_become_floats_within_lists_too():
    assert [type(e) for e in sequence(SHARE)("s.f", [1, 0.5])] == [float, float]


REJECTED = [
    (SHARE, 1.7, "s.f = 1.7 must lie in (0, 1]."),
    (SHARE, 0, "s.f = 0 must lie in (0, 1]."),
    (SHARE, math.nan, "s.f = nan must lie in (0, 1]."),
    (SHARE, "high", "s.f = 'high' must be a number in (0, 1]."),
    (SHARE, "0.5", "s.f = '0.5' must be a number in (0, 1]."),
    (SHARE, True, "s.f = true must be a number in (0, 1]."),
    (BELOW_ONE, 1, "s.f = 1 must lie in [0, 1)."),
    (POSITIVE, math.inf, "s.f = inf must lie in (0, inf)."),
    (COUNT, 0, "s.f = 0 must lie in [1, inf)."),
    (COUNT, 1.0, "s.f = 1.0 must be a whole number in [1, inf)."),
    (COUNT, None, "s.f = null must be a whole number in [1, inf)."),
    (COUNT, True, "s.f = true must be a whole number in [1, inf)."),
    (flag, 1, "s.f = 1 must be true or false."),
    (flag, "maybe", "s.f = 'maybe' must be true or false."),
    (text, 2007, "s.f = 2007 must be text; put it in quotes."),
    (text, "", "s.f = '' must not be empty."),
    (choice("crop", "align"), "mean", "s.f = 'mean' must be one of crop, align."),
    (choice("crop"), ["crop"], "s.f = ['crop'] must be one of crop."),
    (optional(SHARE), 2, "s.f = 2 must lie in (0, 1]."),
    (sequence(SHARE), 0.5, "s.f = 0.5 must be a list."),
    (sequence(SHARE), "ab", "s.f = 'ab' must be a list."),
    (sequence(SHARE), [1, 2], "s.f[1] = 2 must lie in (0, 1]."),
    (sequence(SHARE, length=2), [1], "s.f = [1] must be a list of 2 values."),
    (sequence(SHARE, length=2), 1, "s.f = 1 must be a list of 2 values."),
    (sequence(SHARE, filled=True), [], "s.f = [] must not be empty."),
    (rising(sequence(COUNT)), [2, 1], "s.f = [2, 1] must rise from value to value."),
    (rising(sequence(COUNT)), [2, 2], "s.f = [2, 2] must rise from value to value."),
    (distinct(sequence(COUNT)), [1, 1], "s.f = [1, 1] must not hold a value twice."),
    (mapping(SHARE), [1], "s.f = [1] must be a mapping."),
    (mapping(SHARE), {"a": 2}, "s.f.a = 2 must lie in (0, 1]."),
    (mapping(SHARE), {1: 1}, "s.f = 1 must be text; put it in quotes."),
]


@pytest.mark.parametrize(("rule", "value", "message"), REJECTED)
def test_a_rule_tells_the_path_the_value_and_what_is_allowed(rule, value, message):
    with pytest.raises(ConfigError) as caught:
        rule("s.f", value)
    assert str(caught.value) == message
    assert caught.value.paths[0].startswith("s.f")
