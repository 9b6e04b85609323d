import pytest

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.forms import SIGNS, form_advice, recognised_reader
from tf_frcnn.data.readers.splits import reader_for

FOREIGN = {
    "CVAT's XML": ("annotations.xml", "<annotations><version>1.1", "-if cvat"),
    "Labelme's JSON": (
        "a/b.json",
        '{"shapes": [], "imagePath": "b.png"}',
        "labelme2coco",
    ),
    "VIA's project": ("via.json", '{"_via_settings": {}}', "from VIA as COCO"),
    "Label Studio's own JSON": ("x.json", '[{"completed_by": 1}]', "Label Studio as"),
    "Create ML's JSON": ("train/_annotations.createml.json", "[]", "Roboflow"),
    "VoTT's JSON": ("vott.json", '{"assets": {}}', "-if vott_json"),
    "FiftyOne's own data set": ("samples.json", "{}", "fiftyone convert"),
    "Datumaro's own JSON": ("annotations/a.json", '{"infos": {}}', "-if datumaro"),
    "Open Images' CSV": ("x/train-annotations-bbox.csv", "", "-if open_images"),
    "WIDER FACE": ("wider_face_split/a.txt", "", "-if wider_face"),
    "KITTI": ("training/label_2/0.txt", "", "-if kitti"),
    "MOT's sequences": ("train/gt/gt.txt", "", "-if mot_seq_gt"),
    "a data set prepared by TensorFlow Datasets": (
        *("voc/2007/5.0.0/dataset_info.json", "{}", "reader 'tfds'"),
    ),
}


@pytest.mark.parametrize("reader", SIGNS)
def test_the_form_of_every_reader_is_recognised(reader, in_every_form, tmp_path):
    root = in_every_form(reader, tmp_path / "data")
    assert reader_for(root) == reader
    assert f"for the reader '{reader}'" in form_advice(root, "shapes")
    assert "Datumaro, FiftyOne and the export" in form_advice(root, reader)


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("a.json", "coco"),
        ("data.yaml", "yolo"),
        ("a.tsv", "csv"),
        ("train.record-00000-of-00001", "tfrecord"),
        ("train.tfrecord.gz", "tfrecord"),
        ("a.zip", None),
    ],
)
def test_a_file_is_recognised_by_its_name(tmp_path, name, reader):
    (tmp_path / name).write_text("{}")
    assert recognised_reader(tmp_path / name) == reader


@pytest.mark.parametrize("form", FOREIGN)
def test_a_form_that_nothing_reads_has_a_tool_that_converts_it(tmp_path, form):
    name, content, tool = FOREIGN[form]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(DataError) as error:
        reader_for(tmp_path)
    assert f"It looks like {form}: " in str(error.value) and tool in str(error.value)


def test_a_file_of_another_form_is_recognised_too(tmp_path):
    (tmp_path / "a.xml").write_text("<annotations>")
    assert "CVAT" in form_advice(tmp_path / "a.xml", "coco")


def test_an_empty_folder_has_no_form(tmp_path):
    with pytest.raises(
        DataError, match=r"no reader for it\. The forms that can be read"
    ):
        reader_for(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        reader_for(tmp_path / "nowhere")
