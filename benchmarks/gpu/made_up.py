"""Weights and images that two machines make up alike, by NumPy alone."""

import numpy as np

NUM_BOXES = 16


def value(number, path, shape):
    """Returns the value of a variable.

    Args:
        number: of the variable in its model.
        path: its name, which tells what it is.
        shape: of it.
    """
    last = path.rsplit("/", 1)[-1]
    if "kernel" in last and "momentum" not in path and len(shape) > 1:
        inputs = int(np.prod(shape[:-1]))
        draw = np.random.Generator(np.random.PCG64(number))
        noise = draw.random(shape, np.float32) - np.float32(0.5)
        # Untrained scores so lie above and below the threshold.
        factor = 10 if "box_predictor/logits" in path else 1
        return noise * np.float32((24 / inputs) ** 0.5 * 0.6 * factor)
    if last in ("gamma", "moving_variance", "variance", "scale") or "std" in last:
        return np.ones(shape, np.float32)
    if last == "learning_rate":
        return np.float32(1e-4)
    return np.zeros(shape, np.float32)


def batch(size, canvas, num_classes):
    """Returns a batch of noise with boxes, arrays by name."""
    draw = np.random.Generator(np.random.PCG64(7))
    low = draw.random((size, NUM_BOXES, 2), np.float32) * np.float32(0.6)
    high = low + np.float32(0.05) + draw.random(low.shape, np.float32) * np.float32(0.3)
    sides = np.float32([*canvas, *canvas])
    shape = (size, *canvas, 3)
    labels = np.arange(size * NUM_BOXES, dtype=np.int32) % num_classes
    return {
        "images": draw.random(shape, np.float32) * np.float32(255),
        "image_sizes": np.tile(np.float32([canvas]), (size, 1)),
        "file_sizes": np.tile(np.float32([canvas]), (size, 1)),
        "scales": np.ones((size, 2), np.float32),
        "boxes": np.concatenate([low, high], axis=-1) * sides,
        "labels": labels.reshape(size, NUM_BOXES),
        "step": np.int64(0),
    }
