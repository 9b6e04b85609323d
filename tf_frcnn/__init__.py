"""Faster R-CNN for TensorFlow 2 and Keras 3.

Boxes are float32 `[ymin, xmin, ymax, xmax]` in pixels of the network's input image,
continuous corners: width = xmax - xmin. Deltas are `(dy, dx, dh, dw)`. Labels are
0..K-1 in the order of the class names, -1 in padded rows.

Letters in the shapes of all docstrings:

    B  images                       P  proposals
    H, W  canvas height and width   R  sampled RoIs
    h, w  feature rows and columns  K  classes without background
    G  padded ground-truth boxes    D  detections
    N  anchors of all levels        C  channels
    A  anchors per cell             S  pooled size
"""
