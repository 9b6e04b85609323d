import pytest

from tf_frcnn.data import DATASETS, DataError, make_shapes
from tf_frcnn.data.readers import read_data
from tf_frcnn.data.readers.parts import Part, part_named, take_part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", None),
        ("train[2]", None),
        ("train[:90%]", Part("train", 0, 90)),
        ("train+val[90%:]", Part("train+val", 90, 100)),
        ("all[20%:40%]", Part("all", 20, 40)),
    ],
)
def test_a_part_is_known_by_its_name(name, part):
    assert part_named(name) == part


@pytest.mark.parametrize("name", ["a[90%:10%]", "a[5%:5%]", "a[:101%]"])
def test_percentages_that_do_not_rise_to_100_are_named(name):
    with pytest.raises(DataError, match=r"the percentages must rise.*a\[:90%\]"):
        part_named(name)


def ids(examples):
    return [record.image_id for record in examples.records]


@pytest.fixture(scope="module")
def shapes():
    return make_shapes(30, seed=3)


def test_parts_are_the_whole_divided(shapes):
    first, rest = (take_part(shapes, Part("all", *p)) for p in ((0, 90), (90, 100)))
    assert (len(first.records), len(rest.records)) == (27, 3)
    assert sorted(ids(first) + ids(rest)) == sorted(ids(shapes))
    for part in (first, rest):
        assert ids(part) == [i for i in ids(shapes) if i in ids(part)]
        assert part.class_names == shapes.class_names
        assert part.problems is shapes.problems
        rows = [ids(shapes).index(i) for i in ids(part)]
        images = [image for _, image in shapes.stream().as_numpy_iterator()]
        own = [image for _, image in part.stream().as_numpy_iterator()]
        assert own == [images[row] for row in rows]
    assert rest.name == f"{shapes.name}[90%:100%]"


def test_neighbours_are_in_all_parts(shapes):
    """Data are often sorted by class or by film."""
    third = take_part(shapes, Part("all", 0, 34))
    rows = [ids(shapes).index(i) for i in ids(third)]
    assert min(rows) < 6 and max(rows) > 23


def test_where_an_image_belongs_follows_from_the_names_alone(shapes):
    backwards = shapes.subset(range(30))
    object.__setattr__(backwards, "records", shapes.records[::-1])
    parts = [take_part(one, Part("all", 0, 50)) for one in (shapes, backwards)]
    assert sorted(ids(parts[0])) == sorted(ids(parts[1]))


def test_a_part_without_images_is_named(shapes):
    one = shapes.subset([0])
    with pytest.raises(DataError, match=r"\[0%:90%\]: of 1 images none is in this"):
        take_part(one, Part("all", 0, 90))


def test_a_reader_gets_the_whole_unless_it_cuts_itself(shapes, monkeypatch):
    asked = []

    def read(location, split, **_):
        asked.append(split)
        return shapes

    monkeypatch.setitem(DATASETS, "mine", read)
    monkeypatch.setitem(DATASETS, "tfds", read)
    assert len(read_data("mine", None, "train[:50%]").records) == 15
    assert len(read_data("tfds", "name", "train[:50%]").records) == 30
    assert asked == ["train", "train[:50%]"]
