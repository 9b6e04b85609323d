import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data.decoding.file_to_canvas import canvas_reader
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.resizing import Resizing

RESIZING = Resizing((32,), 64, ((32, 64), (64, 32)))


def encoded(height, width, value, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.full([height, width, 3], value, np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def read():
    return canvas_reader(RESIZING)


def test_an_image_lies_on_the_smallest_canvas_with_its_sizes(read):
    example = read(encoded(16, 24, 7), 1)
    images = example.pop("images").numpy()
    assert images.shape == (32, 64, 3)
    assert (images[:, :48] == 7).all() and (images[:, 48:] == 0).all()
    pairs = {name: pair.numpy().tolist() for name, pair in example.items()}
    assert pairs == {
        "image_sizes": [32, 48],
        "scales": [2, 2],
        "file_sizes": [16, 24],
    }


def test_an_image_is_turned_upright(read):
    example = read(encoded(16, 24, 7, "JPEG"), 6)
    assert example["images"].shape == (64, 32, 3)
    assert example["file_sizes"].numpy().tolist() == [24, 16]


def test_an_image_that_no_canvas_holds_is_refused():
    read = canvas_reader(Resizing((32,), None, ((32, 64),)))
    message = (
        r"it becomes 32 x 96 pixels \(height x width\), but none of images.canvases = "
        r"\(\(32, 64\),\) holds it"
    )
    with pytest.raises(UnreadableImageError, match=message):
        read(encoded(10, 30, 7), 1)


def test_a_damaged_image_is_refused(read):
    with pytest.raises(UnreadableImageError, match="it is damaged or cut off"):
        read(encoded(16, 24, 7)[:60], 1)


def test_an_image_may_have_its_own_canvas():
    example = canvas_reader(Resizing((32,), None, 8))(encoded(32, 41, 7), 1)
    assert example["images"].shape == (32, 48, 3)


def test_threads_may_share_it(read):
    files = [encoded(16, 24, value) for value in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda data: read(data, 1), files)]
    values = [example["images"][0, 0, 0].numpy() for example in found]
    assert values == [*range(40)]


def test_several_short_sides_are_refused():
    with pytest.raises(ValueError, match="short_sides"):
        canvas_reader(Resizing((32, 48), 64, 8))


def test_the_graph_of_a_resizing_is_made_once():
    assert canvas_reader(RESIZING) is canvas_reader(Resizing(*RESIZING))
    assert canvas_reader(RESIZING) is not canvas_reader(RESIZING._replace(long_side=63))
