"""The strategies that a configuration names."""

import pytest
import tensorflow as tf

from tf_frcnn.assembly import build_strategy
from tf_frcnn.config import ConfigError


def test_one_device_is_the_default(config_of):
    assert build_strategy(config_of({})) is tf.distribute.get_strategy()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"cluster": {"worker": ["a:1"]}}'])
def test_workers_need_to_know_each_other(config_of, monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=r"variable TF_CONFIG = .*distributed\.md"):
        build_strategy(config_of({"train.strategy": "multi_worker"}))


@pytest.mark.parametrize(
    "settings",
    [
        {"train.scheme": "alternating", "train.step_epochs": [1, 1, 1, 1]},
        {"train.on_non_finite": "skip"},
    ],
)
def test_what_several_devices_cannot_do_is_told_before(config_of, settings):
    with pytest.raises(ConfigError, match=r"needs train\.strategy = 'none'"):
        config_of(settings | {"train.strategy": "mirrored"})
