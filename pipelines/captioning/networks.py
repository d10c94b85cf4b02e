"""Names of the networks of `keras.applications`: known without the seconds that Keras takes."""

from __future__ import annotations

from pipelines.errors import ConfigError, did_you_mean

# A test holds them against Keras' own.
NETWORKS = (
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201", "EfficientNetB0", "EfficientNetB1",
    "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5", "EfficientNetB6",
    "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
    "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S",
    "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large",
    "MobileNetV3Small", "NASNetLarge", "NASNetMobile", "ResNet101", "ResNet101V2", "ResNet152",
    "ResNet152V2", "ResNet50", "ResNet50V2", "VGG16", "VGG19", "Xception",
)  # fmt: skip


def require_network(name: str) -> None:
    """Refuse a name that no network has, in whatever case.

    Raises:
        ConfigError: the message has the names, or the likely one.
    """
    known = {one.lower(): one for one in NETWORKS}
    if name.lower() in known:
        return
    guess = did_you_mean(name, NETWORKS)
    raise ConfigError(
        f"option --encoder is {name!r}{guess}; it must be compact or one of {', '.join(NETWORKS)}"
    )
