from tf_frcnn.config import AugmentSettings
from tf_frcnn.data.augmentation.plan import NO_AUGMENTATION, Augmentation


def test_the_defaults_of_the_settings_change_nothing():
    assert Augmentation(**dict(AugmentSettings())).is_none
    assert not NO_AUGMENTATION.replace(grey=0.1).is_none


def test_what_changes_the_shape_of_images_is_known():
    kept = {"mosaic": 1.0, "scale": (0.1, 2.0), "aspect": 0.3, "hue": 0.1}
    assert not Augmentation(**kept).changes_shape
    changing = {"rotate": True, "crop": 0.1, "letterbox": True, "function": print}
    for name, value in changing.items():
        assert Augmentation(**{name: value}).changes_shape, name


def test_what_lies_on_a_ground_is_known():
    assert not Augmentation(rotate=True, mosaic=1.0).places
    for name, value in {"letterbox": True, "scale": (1, 2.0), "aspect": 0.1}.items():
        assert Augmentation(**{name: value}).places, name
