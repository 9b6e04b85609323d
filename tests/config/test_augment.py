import pytest

from tf_frcnn.config import AugmentSettings, Config, ConfigError, load_config


def refusal(**settings):
    with pytest.raises(ConfigError) as error:
        AugmentSettings(**settings)
    return str(error.value)


def test_ranges_are_checked():
    assert refusal(hue=0.6) == "augment.hue = 0.6 must lie in [0, 0.5]."
    assert refusal(brightness=1.0) == "augment.brightness = 1.0 must lie in [0, 1)."
    assert refusal(mosaic=1.5) == "augment.mosaic = 1.5 must lie in [0, 1]."
    assert refusal(scale=(1.0,)) == "augment.scale = (1.0,) must be a list of 2 values."
    assert refusal(scale=(2.0, 0.5)) == "augment.scale = (2.0, 0.5) must not fall."
    assert "must be a list of 3 values" in refusal(hsv=(0.1, 0.2))


def test_a_mosaic_cannot_go_with_stored_proposals():
    step_epochs = {"scheme": "alternating", "step_epochs": [1, 1, 1, 1]}
    train = Config().train.replace(**step_epochs)
    with pytest.raises(ConfigError, match=r"augment.mosaic = 0.5 joins images whose"):
        Config(train=train, augment=AugmentSettings(mosaic=0.5))
    assert Config(train=train, augment=AugmentSettings(crop=0.5)).augment.crop == 0.5


def test_the_end_of_a_cosine_is_shorter_than_the_run():
    with pytest.raises(ConfigError, match=r"train.final_epochs = 14.0 must be less"):
        Config().train.replace(schedule="cosine", final_epochs=14.0)
    assert Config().train.replace(final_epochs=14.0).schedule == "steps"


def test_the_recipe_of_bubbliiiing_is_that_of_its_data_loader():
    config = load_config("bubbliiiing_vgg16_voc0712")
    augment = config.augment
    assert augment.letterbox and config.data.flip
    assert (augment.scale, augment.aspect) == ((0.25, 2.0), 0.3)
    assert augment.hsv == (0.1, 0.7, 0.4) and augment.min_visible == 0.0
    train = config.train
    assert (train.schedule, train.epochs, train.final_epochs) == ("cosine", 100, 5)
    assert (train.final_factor, train.warmup_factor) == (0.01, 0.1)
    # 5 % of the epochs, but at most three; VOC07+12 has 16551 images.
    assert train.warmup_steps == 3 * -(-16551 // config.data.batch_size)
