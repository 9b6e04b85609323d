"""RegNetX-400MF with the feature pyramid of a teaching detector.

Source: Radosavovic et al. 2020 (Designing network design spaces), table 2;
    torchvision:models/regnet.py, `regnet_x_400mf`.
"""

import keras

from tf_frcnn.backbones.bottleneck import Stage, bottleneck_stage
from tf_frcnn.backbones.convolution import Style, convolve
from tf_frcnn.backbones.feature_pyramid import feature_pyramid

_STEM_CHANNELS = 32
_GROUP_WIDTH = 16
# Units and channels of the four stages, at strides 4, 8, 16 and 32.
_STAGES = ((1, 32), (2, 64), (7, 160), (12, 400))


def teaching_fpn(
    frozen_blocks: int = 2, normalization: str = "frozen_batch"
) -> keras.Model:
    """Builds the pyramid P3 to P5: float [B, H, W, 3] -> three float [B, h, w, 64].

    Args:
        frozen_blocks: of the stem and the four stages, those whose weights stay fixed;
            the pyramid's never do.
        normalization: of `Style`; the pyramid has none.

    Source: the detector of the course EECS 498-007 (University of Michigan), with
        exactly three levels of 64 channels.
    """
    style = Style(normalization)
    images = keras.Input((None, None, 3), name="images")
    features = convolve(
        images,
        _STEM_CHANNELS,
        3,
        stride=2,
        style=style,
        trainable=frozen_blocks < 1,
        name="stem",
    )
    features = keras.layers.ReLU(name="stem_relu")(features)
    maps = []
    for number, (units, channels) in enumerate(_STAGES, start=1):
        features = bottleneck_stage(
            features,
            Stage(units, channels, channels, groups=channels // _GROUP_WIDTH),
            stride_at="first_3x3",
            style=style,
            trainable=number + 1 > frozen_blocks,
            name=f"stage{number}",
        )
        maps.append(features)
    pyramid = feature_pyramid(maps[1:], 64, first_level=3)
    return keras.Model(images, pyramid, name="teaching_fpn")
