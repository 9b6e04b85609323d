import json
import math
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field

from tf_frcnn.config.settings import (
    BelowOne,
    ConfigError,
    Count,
    Distinct,
    FromList,
    Positive,
    Rising,
    Settings,
    Share,
    Text,
    settings_config,
)


class Part(Settings):
    """One field for each type of value."""

    section: ClassVar[str] = "s"

    share: Share = 1.0
    below: BelowOne = 0.0
    positive: Positive = 1.0
    count: Count = 1
    flag: bool = False
    text: Text = "x"
    choice: Literal["crop", "align"] = "crop"
    maybe: Share | None = None
    shares: Annotated[tuple[Share, ...], FromList] = ()
    some: Annotated[tuple[Share, ...], FromList, Field(min_length=1)] = (1.0,)
    pair: Annotated[tuple[Count, ...], FromList, Field(min_length=2, max_length=2)] = (
        1,
        2,
    )
    rising: Annotated[tuple[Count, ...], FromList, Rising] = ()
    names: Annotated[tuple[Text, ...], FromList, Distinct] = ()
    mapping: dict[str, Share] = Field(default_factory=dict)


ALLOWED = [
    ("share", 1, 1.0),
    ("share", 0.5, 0.5),
    ("below", 0, 0.0),
    ("count", 1, 1),
    ("flag", False, False),
    ("text", "VOC 2007", "VOC 2007"),
    ("choice", "align", "align"),
    ("maybe", None, None),
    ("maybe", 1, 1.0),
    ("shares", [], ()),
    ("shares", [1, 0.5], (1.0, 0.5)),
    ("shares", (1,), (1.0,)),
    ("pair", [3, 4], (3, 4)),
    ("rising", [1, 2], (1, 2)),
    ("names", ["b", "a"], ("b", "a")),
    ("mapping", {"a": 1}, {"a": 1.0}),
]


@pytest.mark.parametrize(("name", "value", "expected"), ALLOWED)
def test_an_allowed_value_gets_its_final_type(name, value, expected):
    found = getattr(Part(**{name: value}), name)
    assert found == expected
    assert type(found) is type(expected)


def test_whole_numbers_become_floats_within_lists_too():
    assert [type(share) for share in Part(shares=[1, 0.5]).shares] == [float, float]


REJECTED = [
    ("share", 1.7, "s.share = 1.7 must lie in (0, 1]."),
    ("share", 0, "s.share = 0 must lie in (0, 1]."),
    ("share", math.nan, "s.share = nan must lie in (0, 1]."),
    ("share", "high", "s.share = 'high' must be a number in (0, 1]."),
    ("share", "0.5", "s.share = '0.5' must be a number in (0, 1]."),
    ("share", True, "s.share = true must be a number in (0, 1]."),
    ("below", 1, "s.below = 1 must lie in [0, 1)."),
    ("positive", math.inf, "s.positive = inf must lie in (0, inf)."),
    ("count", 0, "s.count = 0 must lie in [1, inf)."),
    ("count", 1.0, "s.count = 1.0 must be a whole number in [1, inf)."),
    ("count", None, "s.count = null must be a whole number in [1, inf)."),
    ("count", True, "s.count = true must be a whole number in [1, inf)."),
    ("flag", 1, "s.flag = 1 must be true or false."),
    ("flag", "maybe", "s.flag = 'maybe' must be true or false."),
    ("text", 2007, "s.text = 2007 must be text; put it in quotes."),
    ("text", "", "s.text = '' must not be empty."),
    ("choice", "mean", "s.choice = 'mean' must be one of crop, align."),
    ("choice", ["crop"], "s.choice = ['crop'] must be one of crop, align."),
    ("maybe", 2, "s.maybe = 2 must lie in (0, 1]."),
    ("shares", 0.5, "s.shares = 0.5 must be a list."),
    ("shares", "ab", "s.shares = 'ab' must be a list."),
    ("shares", [1, 2], "s.shares[1] = 2 must lie in (0, 1]."),
    ("some", [], "s.some = [] must not be empty."),
    ("pair", [1], "s.pair = [1] must be a list of 2 values."),
    ("pair", [1, 2, 3], "s.pair = [1, 2, 3] must be a list of 2 values."),
    ("rising", [2, 1], "s.rising = [2, 1] must rise from value to value."),
    ("rising", [2, 2], "s.rising = [2, 2] must rise from value to value."),
    ("names", ["a", "a"], "s.names = ['a', 'a'] must not hold a value twice."),
    ("mapping", [1], "s.mapping = [1] must be a mapping."),
    ("mapping", {"a": 3}, "s.mapping.a = 3 must lie in (0, 1]."),
    ("colour", 1, "s.colour is not a setting."),
]


@pytest.mark.parametrize(("name", "value", "message"), REJECTED)
def test_a_value_that_is_not_allowed_is_named_with_what_is(name, value, message):
    with pytest.raises(ConfigError) as caught:
        Part(**{name: value})
    assert str(caught.value) == message
    assert caught.value.paths[0].startswith(f"s.{name}")


class Ordered(Settings):
    """Two fields that must be in order."""

    section: ClassVar[str] = "o"

    low: Share = 0.2
    high: Share = 0.5

    def check(self):
        self.require_order("low", "high")


def test_settings_that_contradict_each_other_are_both_named():
    with pytest.raises(ConfigError, match=r"^o\.low = 0\.6 must be at most") as caught:
        Ordered(low=0.6)
    assert caught.value.paths == ("o.low", "o.high")
    with pytest.raises(ConfigError, match=r"^o\.low = 0\.2 must be at most o\.high"):
        Ordered().replace(high=0.1)


def test_settings_may_be_given_as_such_as_a_mapping_or_not_at_all():
    given = Ordered(low=0.3)
    assert Ordered.of(given) is given
    assert Ordered.of({"low": 0.3}) == given
    assert Ordered.of(None) == Ordered()


def test_settings_stay_as_they_are_and_are_replaced_by_others():
    settings = Ordered()
    with pytest.raises(ValueError, match="frozen"):
        settings.low = 0.1
    assert settings.replace(low=0.1) == Ordered(low=0.1) and settings == Ordered()


def test_a_layers_configuration_of_settings_survives_json():
    original = Part(shares=(0.5,), mapping={"a": 1.0}, maybe=0.5)
    config = json.loads(json.dumps(settings_config(part=original)))
    assert Part(**config["part"]) == original
