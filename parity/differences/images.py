"""Differences in images before a network sees them: axes, scale, order of channels."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="image_axes",
        title="Images are (height, width, channels) in Keras and (channels, height, width) in torch",
        kind="authoring trap",
        does="reshape gives the right shape and mixes pixels with channels; only permute moves the axis.",
        keras=side(
            formula="channel c is x[..., c]",
            source="keras/src/backend/config.py: image_data_format",
            code="""
                x = np.arange(12.0).reshape(1, 2, 2, 3)
                print(*(float(y) for y in keras.layers.GlobalAveragePooling2D()(x)[0]))
            """,
            prints="4.5 5.5 6.5",
            align="""
                x = np.arange(12.0).reshape(1, 2, 2, 3)
                mixed = x.reshape(1, 3, 2, 2).transpose(0, 2, 3, 1)
                print(*(float(y) for y in keras.layers.GlobalAveragePooling2D()(mixed)[0]))
            """,
        ),
        torch=side(
            formula="channel c is x[:, c]",
            source="torch/nn/modules/pooling.py: AdaptiveAvgPool2d",
            code="""
                x = torch.arange(12.0).reshape(1, 2, 2, 3)
                print(*(float(y) for y in torch.nn.AdaptiveAvgPool2d(1)(x.reshape(1, 3, 2, 2))[0, :, 0, 0]))
            """,
            prints="1.5 5.5 9.5",
            align="""
                x = torch.arange(12.0).reshape(1, 2, 2, 3)
                print(*(float(y) for y in torch.nn.AdaptiveAvgPool2d(1)(x.permute(0, 3, 1, 2))[0, :, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="image_scaling",
        title="Pixels for a pretrained network: -1 to 1 in Keras's MobileNet, mean 0 and deviation 1 in torchvision's",
        kind="authoring trap",
        does="Weights expect the scale that they were trained with. In Keras it depends on the network: "
        "each has its own preprocess_input. EfficientNet's does nothing, since the network itself scales.",
        keras=side(
            formula="x / 127.5 - 1",
            source="keras/src/applications/mobilenet_v2.py: preprocess_input",
            code="""
                x = np.array([[[255.0, 128.0, 0.0]]])
                print(*(f"{y:.3f}" for y in keras.applications.mobilenet_v2.preprocess_input(x)[0, 0]))
            """,
            prints="1.000 0.004 -1.000",
            align="""
                x = np.array([[[255.0, 128.0, 0.0]]])
                preprocess_input = keras.applications.imagenet_utils.preprocess_input
                print(*(f"{y:.3f}" for y in preprocess_input(x, mode="torch")[0, 0]))
            """,
        ),
        torch=side(
            formula="(x / 255 - mean) / deviation, of each channel in ImageNet",
            source="torchvision/transforms/_presets.py: ImageClassification, mean, std",
            code="""
                x = torch.tensor([255.0, 128.0, 0.0])
                mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
                print(*(f"{y:.3f}" for y in (x / 255 - mean) / std))
            """,
            prints="2.249 0.205 -1.804",
            align="""
                x = torch.tensor([255.0, 128.0, 0.0])
                print(*(f"{y:.3f}" for y in x / 127.5 - 1))
            """,
        ),
    ),
    Difference(
        id="channel_order",
        title="Keras's VGG and ResNet read blue, green, red, minus their means; torchvision's read red, green, blue",
        kind="authoring trap",
        does="The first convolution sees red as blue, and another scale. No shape tells.",
        keras=side(
            formula="(b, g, r) - (103.939, 116.779, 123.68)",
            source="keras/src/applications/imagenet_utils.py: preprocess_input, caffe",
            code="""
                x = np.array([[[255.0, 128.0, 0.0]]])
                print(*(f"{y:.3f}" for y in keras.applications.vgg16.preprocess_input(x)[0, 0]))
            """,
            prints="-103.939 11.221 131.320",
            align="""
                x = np.array([[[255.0, 128.0, 0.0]]])
                preprocess_input = keras.applications.imagenet_utils.preprocess_input
                print(*(f"{y:.3f}" for y in preprocess_input(x, mode="torch")[0, 0]))
            """,
        ),
        torch=side(
            formula="((r, g, b) / 255 - mean) / deviation",
            source="torchvision/transforms/_presets.py: ImageClassification, mean, std",
            code="""
                x = torch.tensor([255.0, 128.0, 0.0])
                mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
                print(*(f"{y:.3f}" for y in (x / 255 - mean) / std))
            """,
            prints="2.249 0.205 -1.804",
            align="""
                x = torch.tensor([255.0, 128.0, 0.0])
                print(*(f"{y:.3f}" for y in x.flip(-1) - torch.tensor([103.939, 116.779, 123.68])))
            """,
        ),
    ),
)
