"""Files that want others read, or memory taken."""

import h5py
import numpy as np
import pytest

from tf_frcnn.backbones.pretrained import read_weights_file
from tf_frcnn.backbones.weight_files import require_room
from tf_frcnn.checkpoints import CheckpointError
from tf_frcnn.checkpoints.files import read_checkpoint

KERNEL = np.ones([3, 3], np.float32)


@pytest.fixture
def secret(tmp_path):
    """A file that is none of weights' business."""
    path = tmp_path / "secret.bin"
    path.write_bytes(np.full(9, 7, np.float32).tobytes())
    return path


@pytest.fixture
def path(tmp_path):
    """A good file of weights, to be opened again."""
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["layer/kernel"] = KERNEL
    assert read_weights_file(path)["layer"][0].shape == (3, 3)
    return path


def refused(path, message):
    with pytest.raises(ValueError, match=rf"weights\.h5'.*{message}"):
        read_weights_file(path)
    with pytest.raises(CheckpointError, match=rf"weights\.h5: .*{message}"):
        read_checkpoint(path)


def test_numbers_in_another_file_are_not_read(path, secret):
    with h5py.File(path, "a") as file:
        file.create_dataset(
            "other/kernel", (3, 3), "f4", external=[(str(secret), 0, 36)]
        )
    refused(path, "other/kernel lies in other files")


def test_a_virtual_dataset_is_not_read(path, tmp_path):
    with h5py.File(tmp_path / "more.h5", "w") as file:
        file["x"] = KERNEL
    layout = h5py.VirtualLayout((3, 3), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "more.h5", "x", (3, 3))
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("other/kernel", layout)
    refused(path, "other/kernel lies in other files")


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/layer"), h5py.ExternalLink("more.h5", "/x")]
)
def test_links_are_not_followed(path, link):
    with h5py.File(path, "a") as file:
        file["layer/more"] = link
    refused(path, "layer/more is a link to another place")


def test_a_dataset_that_was_never_written_takes_no_memory(path):
    with h5py.File(path, "a") as file:
        file.create_dataset("other/kernel", (31_000, 31_000), "f4", chunks=(100, 100))
    assert path.stat().st_size < 100_000
    refused(path, "are to take 38440000.. bytes of memory")


def test_a_group_within_itself_ends(path):
    with h5py.File(path, "a") as file:
        file["layer/again"] = file["layer"]
    assert read_weights_file(path)["layer"][0].shape == (3, 3)


def test_the_room_of_a_file():
    require_room(4 * 10**9, 10**9)
    require_room(2**20, 0)
    with pytest.raises(ValueError, match="5000000000 bytes of memory, but it has 1000"):
        require_room(5 * 10**9, 10**9)
