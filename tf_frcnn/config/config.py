"""All settings of a run, and the checks between their sections."""

from pydantic import Field

from tf_frcnn.config.augment import AugmentSettings
from tf_frcnn.config.conventions import Conventions
from tf_frcnn.config.losses import LossSettings
from tf_frcnn.config.network import (
    AnchorSettings,
    BackboneSettings,
    DetectionSettings,
    ImageSettings,
    ProposalSettings,
    RoISettings,
    RPNSettings,
)
from tf_frcnn.config.run import (
    DataSettings,
    EvaluationSettings,
    ModelSettings,
    TrainSettings,
)
from tf_frcnn.config.settings import ConfigError, CountOrZero, Settings
from tf_frcnn.config.tiles import TileSettings


class Config(Settings):
    """All settings of a run."""

    seed: CountOrZero = 0
    """Seed of all random draws."""
    conventions: Conventions = Field(default_factory=Conventions)
    """Program whose conventions are followed, or a mapping: its name as `base`, and the
    differences."""
    model: ModelSettings = Field(default_factory=ModelSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    augment: AugmentSettings = Field(default_factory=AugmentSettings)
    images: ImageSettings = Field(default_factory=ImageSettings)
    backbone: BackboneSettings = Field(default_factory=BackboneSettings)
    anchors: AnchorSettings = Field(default_factory=AnchorSettings)
    rpn: RPNSettings = Field(default_factory=RPNSettings)
    proposals: ProposalSettings = Field(default_factory=ProposalSettings)
    roi: RoISettings = Field(default_factory=RoISettings)
    detections: DetectionSettings = Field(default_factory=DetectionSettings)
    tiles: TileSettings = Field(default_factory=TileSettings)
    loss: LossSettings = Field(default_factory=LossSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)

    def check(self) -> None:
        """Raises a ConfigError where settings of two sections contradict each other."""
        kind = self.model.kind
        if self.train.scheme == "alternating" and kind != "faster_rcnn":
            raise ConfigError(
                f"train.scheme = 'alternating' trains both stages; model.kind = "
                f"{kind!r} has one.",
                "train.scheme",
                "model.kind",
            )
        stores = kind == "fast_rcnn" or self.train.scheme == "alternating"
        if stores and self.roi.level_rule == "anchor":
            raise ConfigError(
                "roi.level_rule = 'anchor' needs proposals that know their anchor's "
                "level; stored ones do not. Use roi.level_rule = 'size'.",
                "roi.level_rule",
            )
        if (kind == "fast_rcnn") != (self.data.proposals is not None):
            raise ConfigError(
                f"data.proposals = {self.data.proposals!r} with model.kind = {kind!r}: "
                "fast_rcnn needs a folder of stored proposals, the others take none.",
                "data.proposals",
                "model.kind",
            )
        if self.tiles.size is not None and kind != "faster_rcnn":
            raise ConfigError(
                f"tiles.size = {list(self.tiles.size)} needs model.kind = "
                f"'faster_rcnn', which detects objects in images alone, not {kind!r}.",
                "tiles.size",
                "model.kind",
            )
        if stores and self.augment.mosaic:
            raise ConfigError(
                f"augment.mosaic = {self.augment.mosaic} joins images whose stored "
                "proposals are apart; set it to 0, or train.scheme to joint.",
                "augment.mosaic",
                "train.scheme",
            )
        self._check_counts()

    def _check_counts(self) -> None:
        hard, proposed = self.roi.hard_examples, self.proposals.train_post_nms
        if hard is not None and hard > proposed:
            raise ConfigError(
                f"roi.hard_examples = {hard} must be at most "
                f"proposals.train_post_nms = {proposed}.",
                "roi.hard_examples",
                "proposals.train_post_nms",
            )
        drawn, longest = self.data.train_short_sides, self.images.long_side
        if drawn and longest is not None and drawn[-1] > longest:
            raise ConfigError(
                f"data.train_short_sides = {list(drawn)} must not exceed "
                f"images.long_side = {longest}.",
                "data.train_short_sides",
                "images.long_side",
            )


SECTIONS: dict[str, type[Settings]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
}
