import re

import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA
from tf_frcnn.models import NonFiniteError
from tf_frcnn.models.errors import NON_FINITE, readable_errors


def stop(message, *data):
    tf.debugging.Assert(tf.reduce_all(data[0] < 0), [message, *data])


IN_MODES = pytest.mark.parametrize(
    "mode", [lambda f: f, tf.function], ids=["eager", "graph"]
)


@IN_MODES
def test_bad_data_become_one_line_without_the_graph(mode):
    names = tf.constant(["a b", "it's"])
    with pytest.raises(DataError) as error, readable_errors():
        mode(stop)(f"{BAD_DATA}: a label is", tf.constant([3, 4]), "in", names)
    line = str(error.value)
    # The two modes put different signs around and between values.
    assert re.sub(r"[\[\]\\,\"']", "", line) == "a label is 3 4 in a b its."


@IN_MODES
def test_a_step_that_is_not_finite_comes_with_what_to_do(mode):
    with pytest.raises(NonFiniteError) as error, readable_errors():
        mode(stop)(NON_FINITE, tf.constant(7), "images", "a")
    assert str(error.value) == (
        "Not finite at step 7 images a. The weights are those before this "
        "step. Lower the learning rate, clip the gradients' norm or warm up longer."
    )


@IN_MODES
def test_other_errors_stay_as_they_are(mode):
    def fail(values):
        tf.debugging.Assert(tf.reduce_all(values < 0), ["else", values])

    with pytest.raises(tf.errors.InvalidArgumentError, match="else"), readable_errors():
        mode(fail)(tf.constant([1]))
    with pytest.raises(tf.errors.InvalidArgumentError), readable_errors():
        mode(lambda row: tf.gather(tf.range(3), row))(tf.constant(3))
