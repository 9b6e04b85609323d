import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.slow
def test_detection_functions_that_are_made_again_are_no_cause_for_a_warning(
    small_detector, caplog
):
    model = small_detector()
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for _ in range(6):
            model.make_predict_function(force=True)
            model.predict_on_batch(np.zeros([1, 32, 32, 3], np.float32))
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text
