import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_frcnn.config import (
    SECTIONS,
    Config,
    ConfigError,
    Conventions,
    DataSettings,
    ImageSettings,
    RoISettings,
    RPNSettings,
    TrainSettings,
    config_schema,
    dump_config,
    load_config,
    make_config,
    recipe_names,
    recipe_path,
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Returns a function that writes a.yaml, which messages then call a.yaml."""
    monkeypatch.chdir(tmp_path)

    def write_text(content):
        Path("a.yaml").write_text(content, encoding="utf-8")
        return "a.yaml"

    return write_text


def message(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value)


def test_a_file_changes_what_it_names_and_nothing_else(write):
    path = write("seed: 3\nrpn:\n  positive_iou: 0.6\n  score_form: sigmoid\n")
    usual = load_config("own_images")
    rpn = usual.rpn.replace(positive_iou=0.6, score_form="sigmoid")
    assert load_config(path) == usual.replace(seed=3, rpn=rpn)


def test_a_file_that_names_no_recipe_starts_from_that_for_own_images(write, tmp_path):
    usual = load_config("own_images")
    assert usual.train.optimizer == "adam" and usual != Config()
    assert load_config(write("seed: 0")) == usual
    (tmp_path / "b.yaml").write_text("base: a.yaml")
    assert load_config("b.yaml") == usual
    assert load_config(write("base: vgg16_voc07")) == load_config("vgg16_voc07")


@pytest.mark.parametrize("name", recipe_names())
def test_a_copy_of_a_recipe_is_the_recipe(write, name):
    assert load_config(write(recipe_path(name).read_text())) == load_config(name)


def test_decays_are_refused_above_a_schedule_that_has_none(write):
    path = write("train: {decay_epochs: [8]}")
    line = message(path)
    assert line.startswith("a.yaml: train.decay_epochs = [8] is for train.schedule")
    assert "own_images.yaml has 'cosine'; leave it out" in line
    assert "--set: train.decay_epochs" in message(
        write("seed: 0"), "train.decay_epochs=[8]"
    )
    both = write("train: {decay_epochs: [8], schedule: steps}")
    assert load_config(both).train.decay_epochs == (8.0,)
    assert load_config("vgg16_voc07", ["train.schedule=cosine"])


def test_a_file_may_start_from_the_defaults_of_the_settings(write):
    assert load_config(write("base: null\nseed: 3")) == Config(seed=3)


def test_a_section_of_comments_keeps_its_defaults(write):
    assert load_config(write("base: null\nrpn:\n  # nothing yet\n")) == Config()


def test_the_defaults_are_those_of_the_paper():
    rpn, roi, proposals = Config().rpn, Config().roi, Config().proposals
    assert (rpn.positive_iou, rpn.negative_iou, rpn.num_samples) == (0.7, 0.3, 256)
    assert (roi.num_samples, roi.foreground_fraction, roi.pooled_size) == (128, 0.25, 7)
    assert (proposals.train_post_nms, proposals.test_post_nms) == (2000, 300)
    assert Config().anchors.ratios == (0.5, 1, 2)
    assert Config().anchors.scales == (8, 16, 32)


def test_an_override_replaces_the_files_value_and_the_last_one_counts(write):
    path = write("{base: null, train: {learning_rate: 0.1, epochs: 3}}")
    overrides = ["train.learning_rate=0.2", "train.learning_rate=1e-3", "seed = 7"]
    loaded = load_config(path, overrides)
    assert loaded == Config(seed=7, train=TrainSettings(learning_rate=0.001, epochs=3))


@pytest.mark.parametrize("form", ["1e-3", "1E-3", "1.e-3", ".1e-2", "0.001", "+1e-3"])
def test_every_way_to_write_a_number_is_read_as_one(write, form):
    loaded = load_config(write(f"train: {{learning_rate: {form}}}"))
    assert loaded.train.learning_rate == 0.001


def test_whole_numbers_serve_as_floats_and_lists_become_tuples(write):
    path = write("anchors: {scales: [4, 8]}\nimages: {canvases: [[600, 800]]}")
    loaded = load_config(path)
    assert loaded.anchors.scales == (4.0, 8.0)
    assert isinstance(loaded.anchors.scales[0], float)
    assert loaded.images.canvases == ((600, 800),)


def test_null_stands_for_no_value_where_a_field_allows_it(write):
    loaded = load_config(write("rpn: {allowed_border: null}"), ["train.clip_norm=35"])
    assert loaded.rpn.allowed_border is None
    assert loaded.train.clip_norm == 35.0


WRONG_FILES = {
    "rpn: {positive_iou: 1.7}": "a.yaml: rpn.positive_iou = 1.7 must lie in (0, 1].",
    "train: {clip_norm: .inf}": "a.yaml: train.clip_norm = inf must lie in (0, inf).",
    "train: {momentum: 1}": "a.yaml: train.momentum = 1 must lie in [0, 1).",
    "{base: null, train: {decay_epochs: [9, 9]}}": (
        "a.yaml: train.decay_epochs = [9, 9] must rise from value to value."
    ),
    "seed: -1": "a.yaml: seed = -1 must lie in [0, inf).",
    "data: {train_split: 2007}": (
        "a.yaml: data.train_split = 2007 must be text; put it in quotes."
    ),
    "data: {class_names: [cat, cat]}": (
        "a.yaml: data.class_names = ['cat', 'cat'] must not hold a value twice."
    ),
    "images: {canvases: [[600]]}": (
        "a.yaml: images.canvases[0] = [600] must be a list of 2 values."
    ),
    "train: {jit_compile: maybe}": (
        "a.yaml: train.jit_compile = 'maybe' must be one of True, False, auto."
    ),
    "data: {policy: {wrong_size: fix}}": (
        "a.yaml: data.policy.wrong_size = 'fix' must be one of repair, drop, keep, "
        "raise."
    ),
    "anchors: {scales: []}": "a.yaml: anchors.scales = [] must not be empty.",
    "anchors: {scales: [8, -1]}": (
        "a.yaml: anchors.scales[1] = -1 must lie in (0, inf)."
    ),
    "images: {short_side: 800, long_side: 600}": (
        "a.yaml: images.short_side = 800 must be at most images.long_side = 600."
    ),
    "images: {pad_to: 32, canvases: [[600, 800]]}": (
        "a.yaml: images.pad_to = 32 gives each image its own canvas; set either "
        "it or images.canvases."
    ),
    "images: {long_side: null}": (
        "a.yaml: images.long_side = null leaves the size of the canvases open; set "
        "images.pad_to or images.canvases."
    ),
    "images: {resize: nearest}": (
        "a.yaml: images.resize = 'nearest' must be one of bilinear, caffe, chainer, "
        "torchvision, bicubic."
    ),
    "rpn: {negative_iou: 0.8}": (
        "a.yaml: rpn.negative_iou = 0.8 must be at most rpn.positive_iou = 0.7."
    ),
    "roi: {background_iou_low: 0.5}": (
        "a.yaml: roi.background_iou_low = 0.5 must be less than "
        "roi.background_iou_high = 0.5."
    ),
    "roi: {foreground_iou: 0.4}": (
        "a.yaml: roi.background_iou_high = 0.5 must be at most "
        "roi.foreground_iou = 0.4."
    ),
    "proposals: {per_level: false, test_pre_nms: 200}": (
        "a.yaml: proposals.test_post_nms = 300 must be at most "
        "proposals.test_pre_nms = 200."
    ),
    "proposals: {per_level: false, train_pre_nms: 200}": (
        "a.yaml: proposals.train_post_nms = 1000 must be at most "
        "proposals.train_pre_nms = 200."
    ),
    "rpn: {postive_iou: 1}": (
        "a.yaml: rpn.postive_iou is not a setting; did you mean rpn.positive_iou?"
    ),
    "loss: {nms_iou: 1}": (
        "a.yaml: loss.nms_iou is not a setting; "
        "did you mean proposals.nms_iou or detections.nms_iou?"
    ),
    "lerning_rate: 1": (
        "a.yaml: lerning_rate is not a setting; did you mean train.learning_rate?"
    ),
    "sed: 1": "a.yaml: sed is not a setting; did you mean seed?",
    "trian: {foo: 1}": "a.yaml: trian is not a setting; did you mean train?",
    "loss: {colour: red}": (
        "a.yaml: loss.colour is not a setting; loss has rpn_sigma, roi_sigma, "
        "rpn_divisor, roi_divisor, roi_boxes, roi_box_weight, rpn_classes, "
        "roi_classes, label_smoothing, focal_alpha, focal_gamma."
    ),
    "loss: {roi_classes: focal, label_smoothing: 0.1}": (
        "a.yaml: loss.label_smoothing = 0.1 is for loss.roi_classes = 'cross_entropy', "
        "not 'focal'; set it to 0."
    ),
    "1: 2": (
        "a.yaml: 1 is not a setting; there are seed, conventions, model, data, "
        "augment, images, backbone, anchors, rpn, proposals, roi, detections, tiles, "
        "loss, train, evaluation."
    ),
    "roi: {hard_examples: 3}\nproposals: {train_post_nms: 2}": (
        "a.yaml: roi.hard_examples = 3 must be at most proposals.train_post_nms = 2."
    ),
    "train: {scheme: alternating}": (
        "a.yaml: train.step_epochs = [] with train.scheme = 'alternating': alternating "
        "needs the epochs of its four steps, joint takes none."
    ),
    "model: {kind: fast_rcnn}": (
        "a.yaml: data.proposals = None with model.kind = 'fast_rcnn': fast_rcnn needs "
        "a folder of stored proposals, the others take none."
    ),
    "model: {kind: fast_rcnn}\ndata: {proposals: p}\n"
    "roi: {level_rule: anchor, add_ground_truth: false}": (
        "a.yaml: roi.level_rule = 'anchor' needs proposals that know their anchor's "
        "level; stored ones do not. Use roi.level_rule = 'size'."
    ),
    "roi: {level_rule: anchor}": (
        "a.yaml: roi.level_rule = 'anchor' needs roi.add_ground_truth = false: "
        "ground-truth boxes have no anchor."
    ),
    "rpn: 3": "a.yaml: rpn = 3 must be a mapping of settings.",
    "seed: 1\nrpn: {channels: 3}\nseed: 2": (
        "a.yaml, line 3: not valid YAML: the key seed occurs twice."
    ),
    "rpn: {channels: 3}\nrpn.channels: 4": "a.yaml: rpn.channels is set twice.",
    "": (
        "a.yaml: must hold a mapping of settings, such as `train: {epochs: 14}`, "
        "but holds ''."
    ),
    "- rpn": (
        "a.yaml: must hold a mapping of settings, such as `train: {epochs: 14}`, "
        "but holds '- rpn'."
    ),
    "rpn: {channels": (
        "a.yaml, line 1: not valid YAML: while parsing a flow mapping, "
        "expected ',' or '}', but got '<stream end>'."
    ),
    "? [seed]\n: 1": "a.yaml, line 1: not valid YAML: a key must be plain text.",
    "x: !!python/name:os.system": (
        "a.yaml, line 1: the tag !!python/name:os.system is not read; write the value "
        "without it."
    ),
    "seed: 2020-99-99": (
        "a.yaml, line 1: not valid YAML: 2020-99-99 is too long or no number; put text "
        "in quotes."
    ),
}


@pytest.mark.parametrize("content", WRONG_FILES)
def test_a_wrong_file_is_told_what_is_wrong_and_what_is_allowed(write, content):
    assert message(write(content)) == WRONG_FILES[content]


WRONG_OVERRIDES = {
    "rpn.positive_iou=1.7": "--set: rpn.positive_iou = 1.7 must lie in (0, 1].",
    "rpn.positive_iou=": ("--set: rpn.positive_iou = null must be a number in (0, 1]."),
    "learning_rate=0.1": (
        "--set: learning_rate is not a setting; did you mean train.learning_rate?"
    ),
    "trian.foo=1": "--set: trian.foo is not a setting; did you mean train?",
    "rpn=3": "--set: rpn = 3 must be a mapping of settings.",
    "train.epochs": (
        "--set: 'train.epochs' must have the form section.setting=value, "
        "such as train.epochs=14."
    ),
    "anchors.scales=[1": (
        "--set: anchors.scales=[1, line 1: not valid YAML: while parsing a flow "
        "sequence, expected ',' or ']', but got '<stream end>'."
    ),
    "anchors.scales=[1, 0]": "--set: anchors.scales[1] = 0 must lie in (0, inf).",
}


@pytest.mark.parametrize("override", WRONG_OVERRIDES)
def test_a_wrong_override_is_told_apart_from_the_file(write, override):
    assert message(write("seed: 1"), override) == WRONG_OVERRIDES[override]


def test_a_contradiction_is_blamed_on_the_override_that_takes_part_in_it(write):
    path = write("rpn: {negative_iou: 0.4}\nroi: {foreground_iou: 0.6}")
    expected = "rpn.negative_iou = 0.4 must be at most rpn.positive_iou = 0.2."
    assert message(path, "rpn.positive_iou=0.2") == f"--set: {expected}"
    path = write("rpn: {negative_iou: 0.4, positive_iou: 0.2}")
    assert message(path, "rpn.channels=8") == f"a.yaml: {expected}"


def test_overrides_are_judged_together(write):
    overrides = ["rpn.positive_iou=0.2", "rpn.negative_iou=0.1"]
    assert load_config(write("seed: 0"), overrides).rpn.positive_iou == 0.2


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    path = tmp_path / "none.yaml"
    for missing in (path, tmp_path):
        expected = f"{missing}: No such file, nor a recipe of that name"
        assert message(missing).startswith(expected)
    path.write_bytes(b"\xff\xfe\x00")
    assert message(path) == f"{path}: cannot be read: it is not UTF-8 text."


def test_a_huge_file_is_not_read_to_its_end(write):
    path = write("#" * 10)
    with open(path, "r+b") as file:
        file.truncate(2**40)  # Takes no room on the disk.
    assert message(path).startswith("a.yaml: it has more than the 131072 characters")


def test_python_code_is_held_to_the_same_rules():
    with pytest.raises(ConfigError, match=r"^rpn.channels = 0 must lie in \[1, inf\)"):
        RPNSettings(channels=0)
    with pytest.raises(ConfigError, match=r"^images.short_side = 700 must be at most"):
        ImageSettings().replace(short_side=700, long_side=600)
    with pytest.raises(ValueError, match="frozen"):
        Config().rpn.channels = 4


def test_two_configurations_share_no_mapping():
    policy = {"wrong_size": "drop"}
    data = DataSettings(policy=policy)
    policy["wrong_size"] = "raise"
    assert data.policy == {"wrong_size": "drop"}
    assert DataSettings().policy is not DataSettings().policy


def test_a_dump_is_plain_yaml_in_the_order_of_the_fields():
    lines = dump_config(Config()).splitlines()
    assert lines[:4] == ["base: null", "seed: 0", "conventions: plain", "model:"]
    assert "  ratios: [0.5, 1.0, 2.0]" in lines
    assert "  clip_norm: null" in lines
    assert yaml.safe_load(dump_config(Config()))["rpn"]["channels"] == 512


def test_text_that_looks_like_something_else_stays_text(write):
    class_names = ("1e-3", "null", "yes", "07", "a: b", "- ", "# x")
    original = Config(data=DataSettings(class_names=class_names))
    assert load_config(write(dump_config(original))) == original


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["C"]), min_size=1), unique=True
    ),
    rate=st.floats(0, exclude_min=True, allow_infinity=False),
    border=st.none() | st.floats(0, 100),
    stds=st.lists(st.floats(1e-9, 1e9), min_size=4, max_size=4),
    canvases=st.lists(st.tuples(st.integers(1), st.integers(1)), max_size=3),
)
def test_a_dump_is_read_back_as_the_same_configuration(
    tmp_path_factory, names, rate, border, stds, canvases
):
    original = Config(
        data=DataSettings(class_names=names, policy={"a: b": "drop"}),
        images=ImageSettings(canvases=canvases),
        rpn=RPNSettings(allowed_border=border),
        roi=RoISettings(delta_stds=stds),
        train=TrainSettings(learning_rate=rate),
    )
    path = tmp_path_factory.mktemp("dump") / "a.yaml"
    path.write_text(dump_config(original), encoding="utf-8")
    assert load_config(path) == original


def test_every_setting_is_documented_and_reaches_the_schema():
    schema = json.loads(config_schema())
    for section, part in SECTIONS.items():
        described = schema["$defs"][part.__name__]["properties"]
        for name, field in part.model_fields.items():
            assert field.description.endswith((".", "...")), f"{section}.{name}"
            assert described[name]["description"] == field.description
    assert {"base", "seed", *SECTIONS} == schema["properties"].keys()


def test_a_section_is_called_what_its_messages_call_it():
    assert all(part.section == name for name, part in SECTIONS.items())


def test_a_file_starts_from_the_recipe_or_the_file_that_it_names(write):
    Path("b.yaml").write_text("base: zf_voc07\nrpn: {channels: 8}\n")
    loaded = load_config(write("base: b.yaml\nseed: 3\nroi: {num_samples: 9}"))
    start = load_config("zf_voc07")
    changed = {
        "rpn": start.rpn.replace(channels=8),
        "roi": start.roi.replace(num_samples=9),
    }
    assert loaded == start.replace(seed=3, **changed)
    made = make_config({"base": "zf_voc07", "rpn": {"channels": 8}}, "test")
    assert made == start.replace(rpn=start.rpn.replace(channels=8))


def test_overrides_win_over_the_settings_and_their_base():
    settings = {"base": "zf_voc07", "rpn": {"channels": 8}, "roi": {"dropout": 0.1}}
    overrides = {"rpn": {"channels": 16}, "images": {"short_side": 300}, "seed": 4}
    made = make_config(settings, "test", overrides)
    expected = load_config("zf_voc07", ["rpn.channels=16", "roi.dropout=0.1", "seed=4"])
    images = expected.images.replace(short_side=300)
    assert made == expected.replace(images=images)
    assert make_config(settings, "test", {}) == make_config(settings, "test")


@pytest.mark.parametrize(
    "overrides", [{"rpn": {"channels": 0}}, {"rpn": {"canals": 8}}, {"rpn": 8}]
)
def test_a_bad_override_is_blamed_on_the_overrides(overrides):
    with pytest.raises(ConfigError, match=r"^overrides: rpn"):
        make_config({"rpn": {"channels": 8}}, "test", overrides)


def test_a_fault_of_a_base_is_blamed_on_its_file(write):
    Path("b.yaml").write_text("rpn: {positive_iou: 0.5}\n")
    path = write("base: b.yaml\nrpn: {channels: 8}")
    assert load_config(path).rpn.positive_iou == 0.5
    Path("b.yaml").write_text("rpn: {positive_iou: 5}\n")
    assert message(path) == "b.yaml: rpn.positive_iou = 5 must lie in (0, 1]."
    path = write("base: b.yaml\nrpn: {positive_iou: 6}")
    assert message(path) == "a.yaml: rpn.positive_iou = 6 must lie in (0, 1]."
    assert message(path, "rpn.positive_iou=7").startswith("--set: rpn.positive_iou = 7")


def test_of_two_files_that_contradict_each_other_the_later_is_blamed(write):
    text = "seed: 1\nproposals: {per_level: false, train_post_nms: 100}\n"
    Path("b.yaml").write_text(text)
    path = write("base: b.yaml\nseed: 2\nproposals: {train_pre_nms: 50}")
    assert message(path).startswith("a.yaml: proposals.train_post_nms = 100 must be")
    path = write("base: b.yaml\nseed: 2\nproposals: {train_pre_nms: 200}")
    overrides = ["seed=3", "proposals.train_post_nms=300"]
    assert message(path, *overrides).startswith("--set: proposals.train_post_nms = 300")


def test_another_program_comes_without_the_habits_of_the_base(write):
    Path("b.yaml").write_text("conventions: {base: caffe, max_log_scale: 2.5}\n")
    inherited = load_config(write("base: b.yaml")).conventions
    assert inherited.plus_one and inherited.max_log_scale == 2.5
    changed = load_config(write("base: b.yaml\nconventions: {clip: none}")).conventions
    assert changed == inherited.replace(clip="none")
    other = load_config(write("base: b.yaml\nconventions: torchvision")).conventions
    assert other == Conventions.of("torchvision")
    overridden = load_config("b.yaml", ["conventions=plain"]).conventions
    assert overridden == Conventions()


def test_a_base_must_exist_and_not_lead_back(write):
    assert message(write("base: vgg61_voc07")).startswith("a.yaml: base: ")
    assert message(write("base: 3")) == (
        "a.yaml: base = 3 must be the name of a recipe."
    )
    Path("b.yaml").write_text("base: a.yaml\n")
    assert message(write("base: b.yaml")) == (
        "a.yaml: base leads back to itself: a.yaml -> b.yaml -> a.yaml."
    )


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_loaded_by_its_name(name):
    assert dump_config(load_config(name))
