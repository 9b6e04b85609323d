import math

import pytest

from tf_frcnn.config import CONVENTIONS, ConfigError, Conventions, make_config
from tf_frcnn.config.loading import dump_config
from tf_frcnn.config.yaml_files import parse_yaml


def test_a_name_stands_for_the_habits_of_a_program():
    assert Conventions() == Conventions.of("plain") == Conventions.of(None)
    caffe = Conventions.of("caffe")
    assert caffe.plus_one and caffe.nms_plus_one and caffe.clip == "all_sides"
    original = Conventions.of("tf_faster_rcnn")
    assert original.plus_one and not original.nms_plus_one
    assert original.clip == "own_side" and original.fill_with_repeats
    torchvision = Conventions.of("torchvision")
    assert torchvision.max_log_scale == math.log(1000 / 16) and torchvision.on_padding


def test_a_habit_may_be_set_beside_the_name():
    own = Conventions.of({"base": "caffe", "nms_plus_one": False})
    assert own.plus_one and not own.nms_plus_one
    assert Conventions(plus_one=True) == Conventions.of({"plus_one": True})


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_dump_holds_the_name_alone_where_nothing_differs(name):
    config = make_config({"conventions": name}, "test")
    tree = parse_yaml(dump_config(config), "dump")
    assert tree["conventions"] == name
    assert make_config(tree, "dump") == config


def test_a_dump_holds_what_differs_from_the_name():
    given = {"base": "bubbliiiing", "clip": "all_sides"}
    config = make_config({"conventions": given}, "test")
    tree = parse_yaml(dump_config(config), "dump")
    assert tree["conventions"] == given
    assert make_config(tree, "dump") == config


def test_every_name_is_allowed_and_an_unknown_one_is_not():
    assert [Conventions(base=name).base for name in CONVENTIONS] == [*CONVENTIONS]
    with pytest.raises(ConfigError, match=r"^conventions\.base = 'caf' must be one of"):
        Conventions.of("caf")
