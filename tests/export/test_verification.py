import numpy as np
import pytest

from tf_frcnn.export.verification import ExportError, Original, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def original(model, resizing, images):
    return Original(model, resizing, images)


@pytest.fixture
def output_of(images, expected):
    """Gives what an export has to return for the first image, with arrays changed."""

    def output(**changes):
        record, own = images.records[0], expected[0]
        assert len(own.scores) > 5 and {*own.labels} == {0, 1}
        arrays = {
            "boxes": own.boxes / np.tile([record.height, record.width], 2),
            "scores": own.scores,
            "classes": own.labels + 1.0,
            "class_names": np.array([[b"wide", b"tall"][n] for n in own.labels]),
        }
        for name, change in changes.items():
            arrays[name] = change(arrays[name])
        batch = {f"detection_{n}": array[np.newaxis] for n, array in arrays.items()}
        return batch | {"num_detections": np.float32([len(arrays["scores"])])}

    return output


def pixels(record, distance):
    return distance / np.tile([record.height, record.width], 2)


def test_small_errors_are_allowed_in_any_order(original, images, output_of):
    shift = pixels(images.records[0], 0.49)
    changes = {
        "boxes": lambda boxes: (boxes + shift)[::-1],
        "scores": lambda scores: (scores + 0.0009)[::-1],
        "classes": lambda classes: classes[::-1],
        "class_names": lambda names: names[::-1],
    }
    errors = original.compare(0, output_of(**changes), "x")
    np.testing.assert_allclose(errors, [0.49, 0.0009], rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("boxes", lambda boxes: boxes + 0.01, "boxes differ by .* and scores by 0 "),
        ("boxes", lambda boxes: boxes * np.nan, "boxes differ by nan"),
        ("scores", lambda scores: scores + 0.0011, r"scores by 0\.0011 "),
        ("classes", lambda classes: 3 - classes, "the classes are"),
        ("classes", lambda classes: classes + 1, "the classes are"),
        ("class_names", lambda names: names[::-1], "the classes are"),
    ],
)
def test_an_output_that_differs_is_an_error(original, output_of, name, change, what):
    with pytest.raises(ExportError, match=f"x of .*{what}.*the export was discarded"):
        original.compare(0, output_of(**{name: change}), "x")


def test_a_detection_that_is_missing_is_named(original, output_of):
    output = output_of(**dict.fromkeys(LISTS, lambda rows: rows[1:]))
    what = r"(\d+) detections instead of \d+; the export lacks 1, such as (wide|tall) 0"
    with pytest.raises(ExportError, match=what):
        original.compare(0, output, "x")


def test_classes_without_names_are_compared_as_numbers(original, output_of):
    numbered = output_of()
    del numbered["detection_class_names"]
    original.compare(0, numbered, "x")
    numbered["detection_classes"] = 3 - numbered["detection_classes"]
    with pytest.raises(
        ExportError, match=r"lacks .* such as tall .*, where it has wide"
    ):
        original.compare(0, numbered, "x")


LISTS = ("boxes", "scores", "classes", "class_names")


def test_a_note_counts_what_rounding_explains(
    model, original, expected, output_of, monkeypatch, capsys
):
    last = float(expected[0].scores[-1])
    at_last = model.roi_head.detections.replace(score_threshold=last - 0.0005)
    monkeypatch.setattr(model.roi_head, "detections", at_last)
    original.compare(0, output_of(), "x")
    original.report()
    assert capsys.readouterr().out == ""
    original.compare(0, output_of(**dict.fromkeys(LISTS, lambda rows: rows[:-1])), "x")
    original.report()
    assert "alone, which rounding explains: 1 (equal" in capsys.readouterr().out


def test_a_note_says_that_there_was_nothing_to_compare(
    exported, strict_model, resizing, images, capsys
):
    verify(exported, strict_model, resizing, images, [])
    assert capsys.readouterr().out.startswith(
        "Note: none of the sample images (3) has a detection above the score "
        "threshold 0.999, so that boxes and scores could not be compared"
    )


def test_nothing_is_said_where_detections_were_compared(
    exported, model, resizing, images, capsys
):
    verify(exported, model, resizing, images, [])
    assert capsys.readouterr().out == ""
