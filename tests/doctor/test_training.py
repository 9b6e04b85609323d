import numpy as np
import pytest

from tf_frcnn.config import load_config, make_config
from tf_frcnn.doctor.training import Counts, counts_of, training_choices

VOC = Counts(5011, np.array([600] * 20), 40, np.array([0.4] * 20), ("a",) * 20, 4952)
CELLS = Counts(
    292,
    np.array([292, 3348, 301]),
    30,
    np.array([0.11, 0.88, 0.08]),
    ("Platelets", "RBC", "WBC"),
    72,
)


@pytest.fixture
def default():
    return make_config({}, "test")


def settings_of(counts, config, *more, **keywords):
    choices = training_choices(counts, config, *more, **keywords)
    return {path: value for settings, _ in choices for path, value in settings.items()}


def test_counts_are_those_of_the_set(squares_of, set_of):
    box = (0, 0, 9, 9)
    images = [(99, 99, [box] * 4, [0, 0, 0, 1]), (99, 99, [box], [0]), (99, 99, [], [])]
    examples = set_of(images, ("many", "rare", "none"))
    counts = counts_of(examples, set_of(images[:2], examples.class_names))
    assert counts.objects.tolist() == [4, 1, 0]
    assert (counts.images, counts.most, counts.validation_images) == (3, 4, 2)
    np.testing.assert_allclose(counts.shares, [(0.75 + 1) / 2, 0.25, 1.0])
    assert counts.rarest == 1


def test_few_images_are_trained_by_adam_for_a_thousand_steps(default):
    settings = settings_of(CELLS, default)
    assert settings["train.optimizer"] == "adam"
    assert settings["train.learning_rate"] == 1e-4
    assert (settings["train.epochs"], settings["train.decay_epochs"]) == (4, [3.0])
    assert settings["train.weight_decay"] == 0.0
    tiny = settings_of(CELLS._replace(images=20), default)
    assert tiny["train.epochs"] == 50
    tinier = settings_of(CELLS._replace(images=3), default)
    assert tinier["train.epochs"] == 100
    assert tinier["train.warmup_steps"] == 30


def test_a_random_backbone_takes_three_times_the_steps_and_the_rate():
    config = make_config({"backbone": {"weights": "random"}}, "test")
    settings = settings_of(CELLS, config)
    assert settings["train.epochs"] == 11
    assert settings["train.learning_rate"] == pytest.approx(3e-4)


def test_the_recipe_for_own_images_needs_the_number_of_epochs_alone():
    own = load_config("own_images")
    settings = settings_of(CELLS, own)
    assert [n for n in settings if n.startswith("train.")] == [
        "train.epochs",
        "train.validation_every",
    ]
    assert settings["train.epochs"] == 4
    few = settings_of(CELLS._replace(images=3), own)
    assert (few["train.epochs"], few["train.warmup_steps"]) == (100, 30)
    assert not [n for n in settings_of(VOC, own) if n != "train.validation_every"]


def test_as_many_images_as_in_voc_keep_the_paper_s_training(default):
    settings = settings_of(VOC, default)
    assert not {"train.optimizer", "train.epochs", "roi.num_samples"} & {*settings}
    rare = VOC._replace(shares=np.array([0.4] * 19 + [0.05]))
    assert settings_of(rare, default)["train.optimizer"] == "adam"


def test_rois_are_as_many_as_the_rarest_class_needs(default):
    def samples(share):
        counts = CELLS._replace(shares=np.array([0.5, 0.5, share]))
        settings = settings_of(counts, default)
        return settings.get("roi.num_samples"), settings.get("roi.foreground_fraction")

    assert samples(0.3) == (None, None)
    assert samples(0.13) == (128, 0.5)
    assert samples(0.08) == (256, 0.5)
    assert samples(0.001) == (512, 0.5)


def test_more_rois_than_the_recipe_s_are_never_fewer():
    config = load_config("torchvision_resnet50_fpn")
    assert "roi.num_samples" not in settings_of(CELLS, config)
    rare = CELLS._replace(shares=np.array([0.01, 1.0, 1.0]))
    assert settings_of(rare, config)["roi.foreground_fraction"] == 0.5


def test_few_objects_get_a_small_head(default):
    settings = settings_of(CELLS, default)
    assert (settings["roi.head_units"], settings["roi.dropout"]) == (1024, 0.0)
    many = CELLS._replace(objects=np.array([50_000, 50_000, 1]))
    assert "roi.head_units" not in settings_of(many, default)
    with_tail = load_config("tf_faster_rcnn_res50_coco")
    assert "roi.head_units" not in settings_of(CELLS, with_tail)


def test_crowds_get_room_for_all_their_objects(default):
    assert not {"detections.max_per_image", "proposals.test_post_nms"} & {
        *settings_of(CELLS, default)
    }
    settings = settings_of(CELLS._replace(most=1900), default)
    assert settings["detections.max_per_image"] == 2900
    assert settings["proposals.test_post_nms"] == 9500
    assert settings["proposals.test_pre_nms"] == 9500


def test_validation_takes_little_of_the_time(default):
    assert settings_of(CELLS, default)["train.validation_every"] == 2
    few = CELLS._replace(validation_images=20)
    assert "train.validation_every" not in settings_of(few, default)


def test_bfloat16_is_taken_where_the_machine_multiplies_it(default):
    assert settings_of(CELLS, default, True)["train.precision"] == "bfloat16"
    assert "train.precision" not in settings_of(CELLS, default, False)


def test_what_is_to_stay_stays_and_the_rest_follows(default):
    config = make_config({"train": {"epochs": 8}}, "test")
    settings = settings_of(CELLS, config, keep=["train.epochs"])
    assert "train.epochs" not in settings
    assert settings["train.decay_epochs"] == [6.0]
    settings = settings_of(CELLS, default, keep=["train.optimizer"])
    assert not {"train.learning_rate", "train.weight_decay"} & {*settings}


def test_alternating_training_keeps_its_steps():
    config = load_config("vgg16_voc07_alternating")
    assert not [p for p in settings_of(CELLS, config) if p.startswith("train.")]


def test_reasons_have_the_numbers_of_the_data(default):
    reasons = " ".join(c.reason for c in training_choices(CELLS, default))
    assert "4 epochs of 292 images are 1168 steps" in reasons
    assert "292 images give 4088 steps in 14 epochs" in reasons
    assert "WBC is 8% of the objects" in reasons
    assert "3941 objects are few" in reasons
