"""Differences between blocks of published models that go by one name in both frameworks."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="stride_position",
        title="A ResNet50's block strides in its first convolution in Keras, and in its second in torchvision",
        kind="authoring trap",
        does="All shapes are the same, so that weights trained with one fit into the other, and classify worse there.",
        keras=side(
            formula="1 x 1 at stride 2, then 3 x 3: three quarters of the pixels are never read",
            source="keras/src/applications/resnet.py: residual_block_v1, strides",
            code="""
                x = np.arange(16.0).reshape(1, 4, 4, 1)
                reduce = keras.layers.Conv2D(1, 1, strides=2, use_bias=False, kernel_initializer="ones")
                conv = keras.layers.Conv2D(1, 3, use_bias=False, kernel_initializer="ones")
                pad = keras.layers.ZeroPadding2D(1)
                print(*(float(y) for y in np.ravel(conv(pad(reduce(x))))))
            """,
            prints="20.0 20.0 20.0 20.0",
            align="""
                x = np.arange(16.0).reshape(1, 4, 4, 1)
                reduce = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")
                conv = keras.layers.Conv2D(1, 3, strides=2, use_bias=False, kernel_initializer="ones")
                pad = keras.layers.ZeroPadding2D(1)
                print(*(float(y) for y in np.ravel(conv(pad(reduce(x))))))
            """,
        ),
        torch=side(
            formula="1 x 1, then 3 x 3 at stride 2: every pixel is read",
            source="torchvision/models/resnet.py: Bottleneck, stride",
            code="""
                x = torch.arange(16.0).reshape(1, 1, 4, 4)
                reduce = torch.nn.Conv2d(1, 1, 1, bias=False)
                conv = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False)
                for layer in (reduce, conv):
                    layer.weight.data.fill_(1.0)
                print(*(float(y) for y in conv(reduce(x)).ravel()))
            """,
            prints="10.0 24.0 51.0 90.0",
            align="""
                x = torch.arange(16.0).reshape(1, 1, 4, 4)
                reduce = torch.nn.Conv2d(1, 1, 1, stride=2, bias=False)
                conv = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
                for layer in (reduce, conv):
                    layer.weight.data.fill_(1.0)
                print(*(float(y) for y in conv(reduce(x)).ravel()))
            """,
        ),
    ),
    Difference(
        id="bias_before_batchnorm",
        title="keras.applications' ResNets have a bias before each batch normalisation, torchvision's have none",
        kind="authoring trap",
        does="Where it is zero it changes no output, and the normalisation takes away what it adds. But it is trained: "
        "Adam moves it, though its gradient is rounding alone, and weight decay pulls it back.",
        keras=side(
            formula="norm(W x + b)",
            source="keras/src/applications/resnet.py: residual_block_v1, Conv2D, BatchNormalization",
            code="""
                layers = [keras.layers.Conv2D(4, 1), keras.layers.BatchNormalization()]
                model = keras.Sequential([keras.Input((5, 5, 3)), *layers])
                print(sum(weight.shape.num_elements() for weight in model.trainable_weights))
            """,
            prints="24",
            align="""
                layers = [keras.layers.Conv2D(4, 1, use_bias=False), keras.layers.BatchNormalization()]
                model = keras.Sequential([keras.Input((5, 5, 3)), *layers])
                print(sum(weight.shape.num_elements() for weight in model.trainable_weights))
            """,
        ),
        torch=side(
            formula="norm(W x)",
            source="torchvision/models/resnet.py: conv1x1, bias",
            code="""
                model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, bias=False), torch.nn.BatchNorm2d(4))
                print(sum(weight.numel() for weight in model.parameters()))
            """,
            prints="20",
            align="""
                model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
                print(sum(weight.numel() for weight in model.parameters()))
            """,
        ),
    ),
)
