import re

import pytest

from tf_frcnn.plain_yaml import MAX_CHARACTERS, PlainYamlError, parse_plain_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refusal(text):
    with pytest.raises(PlainYamlError) as caught:
        parse_plain_yaml(text, "a.yaml")
    return str(caught.value)


def test_an_alias_is_refused_before_it_multiplies():
    assert refusal(LAUGHS) == (
        "a.yaml, line 2: the alias *a is not read; write out what it means."
    )
    assert "line 1: the alias *a" in refusal("&a [*a]")
    assert parse_plain_yaml("a: &a 1", "a.yaml") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: 1\nb: !!int ''", "!!int"),
        ("a: 1\nb: !!float x", "!!float"),
        ("a: 1\nb: !!timestamp x", "!!timestamp"),
        ("a: 1\nb: !!bool x", "!!bool"),
        ("a: 1\nb: !!binary x", "!!binary"),
        ("a: 1\nb: !!set {x}", "!!set"),
        ("a: 1\nb: !!python/object:os.system []", "!!python/object:os.system"),
        ("a: 1\nb: !own {x: 1}", "!own"),
        ("a: 1\nb: ! x", "!"),
    ],
)
def test_a_tag_is_refused_with_its_line(text, tag):
    assert refusal(text) == (
        f"a.yaml, line 2: the tag {tag} is not read; write the value without it."
    )


@pytest.mark.parametrize(
    "value",
    [
        *("0b_", "0x_", "2001-99-99", "9" * 5000, "1" + ":59" * 4000),
        *("1" + ":59" * 4000 + ".5", "1" * 101),
    ],
)
def test_a_number_or_date_that_is_none_is_refused_with_its_line(value):
    assert refusal(f"a: 1\nb: {value}") == (
        f"a.yaml, line 2: not valid YAML: {value[:40]} is too long or no number; "
        "put text in quotes."
    )
    assert parse_plain_yaml(f"b: '{value}'", "a.yaml") == {"b": value}


@pytest.mark.parametrize(
    "text", ["a: \0", "a: \x07", "[" * 5000, "a: " + "{b: " * 5000, "%YAML 9.9\n--- a"]
)
def test_every_refusal_is_one_line(text):
    assert re.fullmatch(r"a\.yaml.*: not valid YAML: [^\n]+", refusal(text))


def test_a_long_text_is_refused_at_once():
    text = "#" * (MAX_CHARACTERS + 1)
    assert "has more than the 131072 characters" in refusal(text)
