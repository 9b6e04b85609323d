"""The README's ten lines on blood cells (BCCD), with the preset that fits them.

python benchmarks/ten_lines.py BCCD WEIGHTS OUTPUT

trains four epochs on the split train, prints the mAP on val and test, and writes a
drawn test image and the .keras file into OUTPUT. WEIGHTS is an HDF5 file with VGG16's.
"""

import argparse
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "weights", "output"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    # TensorFlow takes seconds to import: not for --help.
    import tf_frcnn  # isort: skip
    import keras

    train, val, test = (
        tf_frcnn.read_data("voc", options.data, split, class_names=CLASSES)
        for split in ("train", "val", "test")
    )
    model = tf_frcnn.FasterRCNN.from_preset(
        "bccd_vgg16",
        class_names=CLASSES,
        weights=options.weights,
        images={"short_side": 400, "long_side": 534},
    )
    model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=10.0))
    model.fit(
        train,
        validation_data=val,
        epochs=4,
        batch_size=1,
        callbacks=[
            tf_frcnn.callbacks.MeanAveragePrecision(val),
            keras.callbacks.EarlyStopping("val_mAP", mode="max", patience=2),
        ],
    )
    print("val ", tf_frcnn.evaluate(model, val))
    print("test", tf_frcnn.evaluate(model, test))
    options.output.mkdir(parents=True, exist_ok=True)
    picture = test.records[1].source
    (found,) = model.detect([picture])
    tf_frcnn.draw(picture, found).save(options.output / "drawn.png")
    model.save(options.output / "cells.keras")


CLASSES = ("Platelets", "RBC", "WBC")

if __name__ == "__main__":
    main()
