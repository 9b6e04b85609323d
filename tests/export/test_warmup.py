import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.warmup import WARMUP_FILE, write_warmup


@pytest.fixture(scope="module")
def logs(exported):
    """The records of the warm-up file."""
    module = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = tf.data.TFRecordDataset(str(exported / WARMUP_FILE)).as_numpy_iterator()
    return [module.PredictionLog.FromString(record) for record in records]


def inputs_of(request):
    return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}


@pytest.mark.slow
def test_each_record_can_be_replayed(logs, signatures):
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.signature_name for request in requests} == set(
        signatures
    )
    for request in requests:
        assert not request.model_spec.name
        arrays = inputs_of(request)
        sizes = {len(array) for array in arrays.values()}
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        output = signatures[request.model_spec.signature_name](**tensors)
        assert {output["num_detections"].shape[0]} == sizes


def test_each_signature_is_warmed_by_several_sizes_and_numbers(logs, files):
    sizes, numbers = {}, {}
    for request in (log.predict_log.request for log in logs):
        name = request.model_spec.signature_name
        arrays = inputs_of(request)
        first = next(iter(arrays.values()))
        numbers.setdefault(name, set()).add(len(first))
        shape = first.shape[1:3] if first.ndim == 4 else bytes(first[0])
        sizes.setdefault(name, set()).add(shape)
    assert numbers == {
        "serving_default": {1, 4},
        "image_tensor": {1, 2},
        "preprocessed": {1, 2},
    }
    assert sizes["serving_default"] == set(files)
    assert len(sizes["image_tensor"]) >= 2 and len(sizes["preprocessed"]) >= 2


def test_the_records_hold_the_requests_byte_by_byte(images, resizing, tmp_path):
    requests = sample_requests(images.subset([0]), resizing)
    write_warmup(tmp_path, requests)
    path = str(tmp_path / WARMUP_FILE)
    records = [*tf.data.TFRecordDataset(path).as_numpy_iterator()]
    ((_, inputs),) = requests
    assert len(records) == 6
    assert inputs["serving_default"]["image_bytes"][0] in records[0]
    assert inputs["image_tensor"]["image_tensor"].tobytes() in records[2]
    images = inputs["preprocessed"]["images"]
    assert np.concatenate([images, images]).tobytes() in records[5]
