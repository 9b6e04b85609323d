"""The frame of all sources, on a small detector whose names are its own."""

import json

import numpy as np
import pytest

from tests.helpers.imagined_source import SOURCE, original_name, random_arrays
from tf_frcnn import checkpoints
from tf_frcnn.checkpoints import conversion
from tf_frcnn.checkpoints.class_lists import COCO, COCO_BY_ID, VOC
from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError
from tf_frcnn.checkpoints.name_map import named_variables
from tf_frcnn.cli import main
from tf_frcnn.data import SHAPE_CLASSES
from tf_frcnn.runs.inference import load_run

pytestmark = pytest.mark.usefixtures("eager_steps")


@pytest.fixture(autouse=True)
def source(monkeypatch):
    monkeypatch.setitem(conversion.SOURCES, "imagined", SOURCE)


@pytest.fixture(scope="module")
def arrays():
    return random_arrays()


@pytest.fixture
def file(arrays, monkeypatch, tmp_path):
    """Returns a function that gives the name of a "file" with arrays, changed."""

    def write(**changes):
        content = {n: a for n, a in (arrays | changes).items() if a is not None}
        checkpoint = Checkpoint(tmp_path / "weights.pth", content)
        monkeypatch.setattr(conversion, "read_checkpoint", lambda path: checkpoint)
        return checkpoint.path

    return write


@pytest.fixture
def classes_file(tmp_path):
    def write(*names):
        path = tmp_path / "names.txt"
        path.write_text("\n".join([*names, ""]))
        return path

    return write


def load(path, *args, **kwargs):
    return checkpoints.load("imagined", path, *args, **kwargs)


def test_every_weight_is_set_and_reported(file, arrays):
    loaded = load(file())
    for name, variable in named_variables(loaded.model).items():
        np.testing.assert_array_equal(variable, arrays[original_name(name)])
        assert loaded.report.loaded[name] == original_name(name)
    assert loaded.model.class_names == SHAPE_CLASSES
    assert loaded.report.ignored == ["optimizer.step"]
    assert loaded.report.reshaped == {} and loaded.notes == ("An assumption.",)


def test_a_missing_weight_is_an_error_that_names_it(file):
    lacking = {"rpn_head.scores.bias": None}
    with pytest.raises(CheckpointError, match=r"lacks 1 of \d+ weights: rpn_head\.sco"):
        load(file(**lacking))
    loaded = load(file(**lacking), strict=False)
    assert loaded.report.missing == ["rpn_head/scores/bias"]


def test_a_weight_without_a_place_is_an_error_that_names_it(file):
    more = {"mask_head.kernel": np.zeros(3)}
    with pytest.raises(CheckpointError, match=r"no place for: mask_head\.kernel"):
        load(file(**more))
    assert load(file(**more), strict=False).report.unexpected == ["mask_head.kernel"]


@pytest.mark.parametrize(
    "name",
    [
        "rpn_head.scores.kernel",
        "rpn_head.deltas.kernel",
        "box_head.fc6.kernel",
        "box_predictor.logits.kernel",
    ],
)
def test_a_detector_without_a_kernel_is_none_even_if_it_may_be_incomplete(file, name):
    message = rf"weights\.pth lacks 1 weights .*: {name}\. .* biases"
    with pytest.raises(CheckpointError, match=message):
        load(file(**{name: None}), strict=False)


def test_a_deeper_network_is_none_even_if_it_may_be_incomplete(file, arrays):
    first = next(name for name in arrays if name.startswith("backbone"))
    more = {first.replace(first.split(".")[1], "conv99"): np.zeros(3, np.float32)}
    with pytest.raises(CheckpointError, match=r"more of a backbone .*conv99"):
        load(file(**more), strict=False)


def test_weights_that_are_no_numbers_are_named(file):
    texts = {"rpn_head.scores.bias": np.array(["a"] * 12)}
    with pytest.raises(CheckpointError, match=r"rpn_head\.scores\.bias has"):
        load(file(**texts))


def test_a_description_that_fails_is_an_error_in_one_line(file, monkeypatch):
    def describe(checkpoint, variant):
        return len(checkpoint.arrays["rpn_head.scores.bias"][0])

    monkeypatch.setitem(
        conversion.SOURCES, "imagined", SOURCE._replace(describe=describe)
    )
    with pytest.raises(CheckpointError, match=r"weights\.pth: .* of no detector"):
        load(file())


def test_another_shape_is_an_error_even_if_not_strict(file):
    other = {"rpn_head.scores.bias": np.zeros(3, np.float32)}
    message = r"rpn_head\.scores\.bias has the shape \[3\], which does not give"
    with pytest.raises(CheckpointError, match=message):
        load(file(**other), strict=False)


def test_other_classes_get_a_new_predictor(file, arrays):
    loaded = load(file(), ["cell", "dish"])
    report, predictor = loaded.report, loaded.model.roi_head.predictor
    assert loaded.model.class_names == ("cell", "dish")
    assert predictor.logits.kernel.shape == (16, 3)
    assert sorted(report.random) == [
        f"box_predictor/{layer}/{variable}"
        for layer in ("deltas", "logits")
        for variable in ("bias", "kernel")
    ]
    assert not (report.missing or report.unexpected)
    replaced = [name for name in arrays if name.startswith("box_predictor.")]
    assert report.ignored == ["optimizer.step", *sorted(replaced)]
    assert "new and random" in loaded.notes[-1]
    kernel = loaded.model.rpn.head.convs[0].kernel
    np.testing.assert_array_equal(kernel, arrays["rpn_head.conv.kernel"])


def test_the_same_classes_keep_the_predictor(file):
    assert load(file(), list(SHAPE_CLASSES)).report.random == []


def test_the_same_number_of_other_classes_gets_a_new_predictor(file):
    assert load(file(), ["a", "b", "c", "d"]).report.random


def test_names_for_classes_that_the_file_does_not_name(file):
    loaded = load(file(), ["a", "b", "c", "d"], variant="unknown classes")
    assert loaded.report.random == [] and loaded.model.class_names == tuple("abcd")
    assert load(file(), ["a"], variant="unknown classes").report.random
    with pytest.raises(CheckpointError, match=r"4 classes, whose names .* --classes"):
        load(file(), variant="unknown classes")


def test_an_unknown_source_or_variant_is_named(file):
    with pytest.raises(ValueError, match="source = 'torch' must be one of"):
        checkpoints.load("torch", file())
    with pytest.raises(ValueError, match="variant = 'x': imagined has unknown classes"):
        load(file(), variant="x")


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_a_run_folder_works_with_every_command(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "imagined", str(file()), "converted"]) == 0
    printed = capsys.readouterr().out
    assert "(0 reshaped)" in printed and "Note: An assump" in printed
    report = json.loads((tmp_path / "converted" / "conversion.json").read_text())
    assert report["source"] == "imagined" and report["ignored"] == ["optimizer.step"]
    assert report["file"] == "weights.pth" and len(report["loaded"]) > 20

    samples = str(tmp_path / "converted" / "samples")
    assert main(["predict", "converted", samples]) == 0
    assert main(["evaluate", "converted"]) == 0
    assert main(["export", "converted", "served"]) == 0
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()
    assert main(["train", "--init", "converted"]) == 0
    printed = capsys.readouterr().out
    assert "Weights of converted." in printed and "random ones" not in printed
    assert (tmp_path / "runs" / "converted_tuned" / "metrics_test.json").is_file()

    assert main(["convert", "imagined", str(file()), "converted"]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_nothing_in_the_folder_is_overwritten(file, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "conversion.json").write_text("mine")
    monkeypatch.setattr(conversion, "load", None)  # Is not called.
    with pytest.raises(FileExistsError, match="mine is not an empty folder"):
        checkpoints.convert("imagined", file(), tmp_path / "mine")
    assert (tmp_path / "mine" / "conversion.json").read_text() == "mine"
    with pytest.raises(OSError, match="no files can be written there"):
        checkpoints.convert("imagined", file(), tmp_path / "mine/conversion.json/new")


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_training_starts_from_the_weights_of_a_run(file, tmp_path, capsys):
    folder = tmp_path / "converted"
    checkpoints.convert("imagined", file(), folder, ["cell", "dish"])
    before = load_run(folder).model
    arguments = ["train", "--init", str(folder), "--output", str(tmp_path / "tuned")]
    # So small a rate keeps what it starts from.
    assert main([*arguments, "--set", "train.learning_rate=1e-12"]) == 0
    assert "Its 2 classes differ from these 4" in capsys.readouterr().out
    after = load_run(tmp_path / "tuned").model
    old, new = named_variables(before), named_variables(after)
    for name in old:
        if not name.startswith("box_predictor/"):
            np.testing.assert_allclose(new[name], old[name], atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("unexported")
def test_classes_in_another_order_keep_the_predictor(file, tmp_path, capsys):
    folder, names = tmp_path / "converted", SHAPE_CLASSES[::-1]
    checkpoints.convert("imagined", file(), folder, names)
    arguments = ["train", "--init", str(folder), "--output", str(tmp_path / "tuned")]
    assert main(["make-shapes", str(tmp_path / "voc"), "--train", "2"]) == 0
    drawn = f"data.directory={tmp_path / 'voc'}"
    splits = ("data.train_split=train", "data.test_split=train")
    settings = ["data.reader=voc", drawn, *splits, "data.validation_split=train"]
    assert main([*arguments, *(w for s in settings for w in ("--set", s))]) == 0
    assert "random ones" not in capsys.readouterr().out
    assert load_run(tmp_path / "tuned").model.class_names == names
    longer = [*arguments, *(w for s in settings for w in ("--set", s))]
    assert main([*longer, "--resume", "--set", "train.epochs=2"]) == 0
    assert load_run(tmp_path / "tuned").model.class_names == names


@pytest.mark.slow
def test_training_from_another_network_is_an_error(file, tmp_path, capsys):
    folder = tmp_path / "converted"
    checkpoints.convert("imagined", file(), folder)
    arguments = ["train", "--init", str(folder), "--output", str(tmp_path / "tuned")]
    assert main([*arguments, "--set", "rpn.channels=8"]) == 2
    assert "its rpn differs from" in capsys.readouterr().err


def test_training_needs_a_configuration_or_a_run(capsys):
    assert main(["train"]) == 2
    assert "needs a CONFIG, or a run to start from" in capsys.readouterr().err


def test_alternating_training_starts_from_no_run(tmp_path, capsys):
    alternating = ("train.scheme=alternating", "train.step_epochs=[1,1,1,1]")
    settings = [word for setting in alternating for word in ("--set", setting)]
    config = tmp_path / "config.yaml"
    config.write_text("data: {reader: shapes}")
    assert main(["train", str(config), "--init", str(tmp_path), *settings]) == 2
    assert "alternating training starts from a backbone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ((), "must be a list of names"),
        (("a", "a"), "has 'a' twice"),
        (("__background__", "a"), "is not a class: leave it out"),
    ],
)
def test_a_bad_class_list_is_named(file, classes_file, tmp_path, capsys, names, fault):
    listed = str(classes_file(*names))
    output = str(tmp_path / "converted")
    assert main(["convert", "imagined", str(file()), output, "--classes", listed]) == 2
    error = capsys.readouterr().err
    assert "names.txt: " in error and fault in error
    assert not (tmp_path / "converted").exists()


def test_a_class_list_of_another_encoding_is_named(file, tmp_path, capsys):
    listed, output = tmp_path / "names.txt", tmp_path / "converted"
    arguments = ["convert", "imagined", str(file()), str(output), "--classes"]
    listed.write_bytes("Möwe\n".encode("latin-1"))
    assert main([*arguments, str(listed)]) == 2
    assert "names.txt: it is not UTF-8 text" in capsys.readouterr().err
    listed.write_text("gull\n", encoding="utf-8-sig")
    assert main([*arguments, str(listed)]) == 0
    assert (output / "classes.txt").read_text() == "gull\n"


def test_an_output_that_is_a_file_is_named(file, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(FileExistsError, match="taken is a file"):
        checkpoints.convert("imagined", file(), tmp_path / "taken")


def test_a_converted_run_cannot_be_resumed(file, tmp_path, capsys):
    folder = tmp_path / "converted"
    checkpoints.convert("imagined", file(), folder)
    arguments = ["train", str(folder / "config.yaml"), "--output", str(folder)]
    assert main([*arguments, "--resume"]) == 2
    assert "was converted and not trained" in capsys.readouterr().err


def test_a_missing_run_to_start_from_is_named(tmp_path, capsys):
    assert main(["train", "--init", str(tmp_path / "nothing")]) == 2
    assert "nothing is not a run folder" in capsys.readouterr().err


def test_a_package_that_lacks_is_one_line(file, tmp_path, monkeypatch, capsys):
    def lacks(path):
        raise ImportError("needs PyTorch")

    path = str(file())
    monkeypatch.setattr(conversion, "read_checkpoint", lacks)
    assert main(["convert", "imagined", path, str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == "tf-frcnn: needs PyTorch\n"


def test_class_lists():
    assert (len(VOC), len(COCO), len(COCO_BY_ID)) == (20, 80, 90)
    assert sorted(set(COCO_BY_ID) - set(COCO)) == sorted(
        f"unused {n}" for n in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
    )
    by_id = {
        1: "person",
        17: "cat",
        18: "dog",
        44: "bottle",
        62: "chair",
        90: "toothbrush",
    }
    assert {n: COCO_BY_ID[n - 1] for n in by_id} == by_id
