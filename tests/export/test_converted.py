import importlib.util
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.helpers.paths import SHARED
from tf_frcnn import layers
from tf_frcnn.backbones.feature_pyramid import feature_pyramid
from tf_frcnn.data import evaluation_batches
from tf_frcnn.data.readers.images import find_images, read_images
from tf_frcnn.export import RUNTIMES, ExportError, convert_model
from tf_frcnn.export.runtimes import Runtime
from tf_frcnn.models import FasterRCNN, RegionProposalNetwork, RoIHead
from tf_frcnn.models.evaluating import observe

pytestmark = pytest.mark.slow

BLOOD = sorted((SHARED / "data" / "bccd" / "JPEGImages").glob("*.jpg"))[:2]
WITHOUT = [
    name
    for runtime in RUNTIMES.values()
    for name in runtime.packages
    if importlib.util.find_spec(name) is None
]
needs_packages = pytest.mark.skipif(
    bool(WITHOUT), reason=f"not installed: {', '.join(WITHOUT)}"
)


@pytest.fixture(scope="session")
def pyramid(tiny_detector):
    """The tiny detector on three maps, two of them for RoIs, with Soft-NMS."""
    single = tiny_detector(detections={"score_threshold": 0.3})
    maps = [single.backbone.get_layer(f"stage{n}_add").output for n in (3, 4)]
    maps = feature_pyramid(maps, 32, first_level=3, extra_level=True)
    counts = {"test_pre_nms": 60, "test_post_nms": 40, "per_level": True}
    roi = {"pooling": "align", "head_units": 64, "dropout": 0.0}
    model = FasterRCNN(
        single.preprocessing,
        keras.Model(single.backbone.input, maps),
        RegionProposalNetwork(
            (8, 16, 32),
            anchors={"style": "centred", "scales": (4,)},
            rpn={"channels": 32, "score_form": "sigmoid"},
            proposals=counts,
        ),
        RoIHead(
            2,
            layers.FullyConnectedHead(roi),
            (8, 16),
            roi=roi,
            detections=single.roi_head.detections.replace(suppression="soft"),
        ),
        class_names=single.class_names,
    )
    model.build()
    logits = model.roi_head.predictor.logits
    logits.set_weights([10 * logits.kernel.numpy(), np.array([0, 0.5, 0.2])])
    return model


@pytest.fixture(scope="session")
def shapes_and_blood(images):
    """The images of shapes, and two of blood cells."""
    if not BLOOD:
        pytest.skip(f"BCCD is not in {SHARED}; set TF_FRCNN_SHARED to its folder.")
    files = [record.source for record in images.records]
    return read_images(find_images([*files, *BLOOD]), ("wide", "tall"))


@needs_packages
@pytest.mark.parametrize("detector", ["model", "pyramid"])
@pytest.mark.parametrize("file_format", RUNTIMES)
def test_another_runtime_detects_the_same_in_shapes_and_in_blood(
    request, file_format, detector, shapes_and_blood, resizing, tmp_path
):
    model, runtime = request.getfixturevalue(detector), RUNTIMES[file_format]
    settings = {"file_format": file_format, "canvas": (160, 160)}
    # Raises if they differ.
    path = convert_model(model, resizing, tmp_path, shapes_and_blood, **settings)
    resizing = resizing._replace(canvases=((160, 160),))
    batches = evaluation_batches(shapes_and_blood, resizing, batch_size=1)
    _, found = observe(model, batches)
    assert set(found.image_index) == {0, 1, 2, 3, 4} and len(found.scores) > 15
    batch = next(batches.as_numpy_iterator())
    names = ("images", "image_sizes", "scales", "file_sizes")
    output = runtime.load(path / runtime.file)({name: batch[name] for name in names})
    assert {name: array.shape for name, array in output.items()} == {
        "detection_boxes": (1, 20, 4),
        "detection_scores": (1, 20),
        "detection_classes": (1, 20),
        "num_detections": (1,),
    }
    assert all(array.dtype == np.float32 for array in output.values())


@pytest.fixture
def stand_in(model, monkeypatch):
    """A runtime whose file is empty and which runs the model itself."""
    functions, given = [], []
    packages, shift = ["keras"], [0.0]

    def write(function, inputs, path, calibration):
        assert inputs[0].shape == [1, 96, 160, 3]
        functions.append(function)
        given[:] = calibration
        path.write_bytes(b"")

    def load(path):
        def run(inputs):
            outputs = functions[-1](**inputs)
            outputs = {name: tensor.numpy() for name, tensor in outputs.items()}
            outputs["detection_scores"] += shift[0]
            return outputs

        return run

    writers = {"float32": write, "int8": write}
    runtime = Runtime("model.onnx", packages, writers, load)
    monkeypatch.setitem(RUNTIMES, "onnx", runtime)
    return SimpleNamespace(packages=packages, shift=shift, calibration=given)


def test_a_version_says_what_goes_in_and_comes_out(
    model, resizing, images, stand_in, tmp_path
):
    canvases = ((96, 160), (160, 96))
    resizing = resizing._replace(canvases=canvases)
    path = convert_model(
        model, resizing, tmp_path, images, file_format="onnx", info={"made": "here"}
    )
    assert path == tmp_path / "1"
    files = {str(file.relative_to(path)) for file in path.rglob("*.*")}
    assert files == {
        *("assets/classes.txt", "assets/label_map.pbtxt"),
        *("model.onnx", "model_info.json"),
    }
    info = json.loads((path / "model_info.json").read_text())
    assert info["canvas"] == [96, 160] and info["made"] == "here"
    assert list(info["inputs"]) == ["images", "image_sizes", "scales", "file_sizes"]
    assert list(info["outputs"]) == [
        *("detection_boxes", "detection_scores", "detection_classes"),
        "num_detections",
    ]
    with pytest.raises(FileExistsError, match="next free one is 2"):
        convert_model(model, resizing, tmp_path, images, file_format="onnx", version=1)


def test_a_file_that_detects_otherwise_is_discarded(
    model, resizing, images, stand_in, tmp_path
):
    stand_in.shift[0] = 0.002
    settings = {"file_format": "onnx", "canvas": (96, 160)}
    with pytest.raises(ExportError, match=r"model.onnx of .*lying\.png: .*by 0\.002 "):
        convert_model(model, resizing, tmp_path, images, **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_note_says_that_there_was_nothing_to_compare(
    strict_model, resizing, images, stand_in, capsys, tmp_path
):
    settings = {"file_format": "onnx", "canvas": (96, 160)}
    convert_model(strict_model, resizing, tmp_path, images, **settings)
    assert (
        "none of the sample images (2) has a detection above" in capsys.readouterr().out
    )


def test_a_canvas_that_holds_no_sample_is_refused(
    model, resizing, images, stand_in, tmp_path
):
    settings = {"file_format": "onnx", "canvas": (64, 64)}
    message = "64x64 .* none of the run's 3 sample .* becomes 96x.* another --canvas"
    with pytest.raises(ValueError, match=message):
        convert_model(model, resizing, tmp_path / "new", images, **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_installation(
    model, resizing, images, stand_in, tmp_path
):
    stand_in.packages.append("no_such_package")
    message = r'needs no_such_package; install with pip install "tf-frcnn\[onnx\]"'
    with pytest.raises(ImportError, match=message):
        convert_model(model, resizing, tmp_path, images, file_format="onnx")


@needs_packages
@pytest.mark.parametrize(
    ("file_format", "weights"),
    [("onnx", "int8"), ("tflite", "float16"), ("tflite", "int8")],
)
def test_smaller_weights_find_most_of_the_detections(
    model, resizing, images, file_format, weights, tmp_path, capsys
):
    settings = {"file_format": file_format, "canvas": (160, 160)}
    paths = [
        convert_model(model, resizing, tmp_path / w, images, weights=w, **settings)
        for w in ("float32", weights)
    ]
    whole, small = (path / RUNTIMES[file_format].file for path in paths)
    assert small.stat().st_size < 0.7 * whole.stat().st_size
    info = json.loads((paths[1] / "model_info.json").read_text())
    agreement = info["agreement"]
    assert info["weights"] == weights and agreement["images"] == 3
    assert agreement["detections"] >= 4 and agreement["score_difference"] > 0
    assert agreement["found"] >= 0.75 * agreement["detections"]
    words = f"with {weights} weights finds {agreement['found']} of the model's"
    assert words in capsys.readouterr().out


def test_smaller_weights_are_calibrated_and_compared(
    model, resizing, images, stand_in, tmp_path, monkeypatch
):
    stand_in.shift[0] = 0.01
    settings = {"file_format": "onnx", "canvas": (96, 160), "weights": "int8"}
    one = images.subset([0])
    path = convert_model(model, resizing, tmp_path, images, calibration=one, **settings)
    (inputs,) = stand_in.calibration
    assert inputs["images"].shape == (1, 96, 160, 3)
    agreement = json.loads((path / "model_info.json").read_text())["agreement"]
    assert agreement["found"] == agreement["detections"] > 2
    assert agreement["score_difference"] == pytest.approx(0.01, abs=1e-4)
    assert agreement["box_difference"] < 0.01
    # Nothing is found again where boxes may not even be equal.
    monkeypatch.setattr("tf_frcnn.export.agreement.MIN_IOU", 1.1)
    with pytest.raises(ExportError, match=r"int8 weights finds 0 of the model's \d"):
        convert_model(model, resizing, tmp_path, images, **settings)
    assert [version.name for version in tmp_path.iterdir()] == ["1"]


def test_weights_that_a_format_does_not_have_are_refused(
    model, resizing, images, stand_in, tmp_path
):
    message = r"weights = 'float16' must be one of float32, int8 for the format onnx"
    with pytest.raises(ValueError, match=message):
        settings = {"file_format": "onnx", "weights": "float16"}
        convert_model(model, resizing, tmp_path, images, **settings)
