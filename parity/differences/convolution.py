"""Differences in convolutions: where padding goes, and how kernels are laid out."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="flatten_order",
        title="Flatten runs through (height, width, channels) in Keras, and through (channels, height, width) in torch",
        kind="authoring trap",
        does="All shapes fit, and each row of the next dense layer multiplies another pixel. Either the map is "
        "permuted before it is flattened, or the kernel's rows are permuted once.",
        keras=side(
            formula="row i of the kernel belongs to pixel (h, w, c), i = (h W + w) C + c",
            source="keras/src/layers/reshaping/flatten.py: Flatten, data_format",
            code="""
                image, kernel = np.arange(8.0).reshape(1, 2, 2, 2), np.arange(8.0)[:, None]
                print(float(keras.ops.matmul(keras.layers.Flatten()(image), kernel)[0, 0]))
            """,
            prints="140.0",
            align="""
                image, kernel = np.arange(8.0).reshape(1, 2, 2, 2), np.arange(8.0)[:, None]
                turned = keras.layers.Permute((3, 1, 2))(image)
                print(float(keras.ops.matmul(keras.layers.Flatten()(turned), kernel)[0, 0]))
            """,
        ),
        torch=side(
            formula="column i of the weight belongs to pixel (c, h, w), i = (c H + h) W + w",
            source="torch/nn/modules/flatten.py: Flatten",
            code="""
                image, kernel = torch.arange(8.0).reshape(1, 2, 2, 2).permute(0, 3, 1, 2), torch.arange(8.0)[:, None]
                print(float(torch.nn.Flatten()(image) @ kernel))
            """,
            prints="126.0",
            align="""
                image, kernel = torch.arange(8.0).reshape(1, 2, 2, 2).permute(0, 3, 1, 2), torch.arange(8.0)[:, None]
                height, width, channels, units = 2, 2, 2, 1
                kernel = kernel.reshape(height, width, channels, units).permute(2, 0, 1, 3).reshape(-1, units)
                print(float(torch.nn.Flatten()(image) @ kernel))
            """,
        ),
    ),
    Difference(
        id="same_padding_stride",
        title="'same' at stride 2 puts its zero at the end in Keras; padding=1 in torch puts one on either side",
        kind="authoring trap",
        does="The shapes are equal, and every window is one pixel off. At stride 1, and with a kernel of 3 at odd "
        "sizes, the two agree. Pooling with 'same' moves likewise.",
        keras=side(
            formula="total = max((ceil(n / s) - 1) s + k - n, 0); total // 2 before, the rest after",
            source="keras/src/layers/convolutional/conv2d.py: Conv2D, same, padding",
            code="""
                x = np.arange(4.0).reshape(1, 1, 4, 1) + np.zeros((1, 4, 1, 1))
                layer = keras.layers.Conv2D(1, 3, strides=2, padding="same", kernel_initializer="ones")
                print(*(float(y) for y in layer(x)[0, 0, :, 0]))
            """,
            prints="9.0 15.0",
            align="""
                x = np.arange(4.0).reshape(1, 1, 4, 1) + np.zeros((1, 4, 1, 1))
                layer = keras.layers.Conv2D(1, 3, strides=2, kernel_initializer="ones")
                print(*(float(y) for y in layer(keras.layers.ZeroPadding2D(1)(x))[0, 0, :, 0]))
            """,
        ),
        torch=side(
            formula="p before and p after; padding='same' is refused with strides",
            source="torch/nn/modules/conv.py: Conv2d, padding, strided",
            code="""
                x = torch.arange(4.0).reshape(1, 1, 1, 4) + torch.zeros(1, 1, 4, 1)
                layer = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False)
                layer.weight.data.fill_(1.0)
                print(*(float(y) for y in layer(x)[0, 0, 0]))
            """,
            prints="2.0 12.0",
            align="""
                x = torch.arange(4.0).reshape(1, 1, 1, 4) + torch.zeros(1, 1, 4, 1)
                layer = torch.nn.Conv2d(1, 1, 3, stride=2, bias=False)
                layer.weight.data.fill_(1.0)
                # left, right, top, bottom
                print(*(float(y) for y in layer(torch.nn.functional.pad(x, (0, 1, 0, 1)))[0, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="same_padding_even_kernel",
        title="'same' with an even kernel: Keras pads the end; padding=1 in torch pads both, for one output too many",
        kind="authoring trap",
        does="With the last output cut off, the shape fits and all is shifted by one pixel. At stride 1, torch's "
        "padding='same' does as Keras does.",
        keras=side(
            formula="(k - 1) // 2 zeros before, k // 2 after",
            source="keras/src/layers/convolutional/conv1d.py: Conv1D, same, padding",
            code="""
                x = np.arange(1.0, 5.0).reshape(1, 4, 1)
                layer = keras.layers.Conv1D(1, 2, padding="same", kernel_initializer="ones")
                print(*(float(y) for y in layer(x)[0, :, 0]))
            """,
            prints="3.0 5.0 7.0 4.0",
            align="""
                x = np.arange(1.0, 5.0).reshape(1, 4, 1)
                layer = keras.layers.Conv1D(1, 2, kernel_initializer="ones")
                print(*(float(y) for y in layer(keras.layers.ZeroPadding1D((1, 0))(x))[0, :, 0]))
            """,
        ),
        torch=side(
            formula="k // 2 zeros on both sides: one output too many",
            source="torch/nn/modules/conv.py: Conv1d, padding",
            code="""
                x = torch.arange(1.0, 5.0).reshape(1, 1, 4)
                layer = torch.nn.Conv1d(1, 1, 2, padding=1, bias=False)
                layer.weight.data.fill_(1.0)
                print(*(float(y) for y in layer(x)[0, 0, :4]))
            """,
            prints="1.0 3.0 5.0 7.0",
            align="""
                x = torch.arange(1.0, 5.0).reshape(1, 1, 4)
                layer = torch.nn.Conv1d(1, 1, 2, padding="same", bias=False)
                layer.weight.data.fill_(1.0)
                print(*(float(y) for y in layer(x)[0, 0]))
            """,
        ),
    ),
    Difference(
        id="causal_padding",
        title="Keras's padding='causal' puts all zeros in front; torch's padding puts them on both ends",
        kind="authoring trap",
        does="A network that may not see the future sees it, as far as the kernel reaches.",
        keras=side(
            formula="dilation (k - 1) zeros before, none after",
            source="keras/src/layers/convolutional/base_conv.py: BaseConv, allow_causal",
            code="""
                x = np.arange(1.0, 5.0).reshape(1, 4, 1)
                layer = keras.layers.Conv1D(1, 3, padding="causal", kernel_initializer="ones")
                print(*(float(y) for y in layer(x)[0, :, 0]))
            """,
            prints="1.0 3.0 6.0 9.0",
            align="""
                x = np.arange(1.0, 5.0).reshape(1, 4, 1)
                layer = keras.layers.Conv1D(1, 3, padding="same", kernel_initializer="ones")
                print(*(float(y) for y in layer(x)[0, :, 0]))
            """,
        ),
        torch=side(
            formula="the same number of zeros before and after",
            source="torch/nn/modules/conv.py: Conv1d, padding",
            code="""
                x = torch.arange(1.0, 5.0).reshape(1, 1, 4)
                layer = torch.nn.Conv1d(1, 1, 3, padding=1, bias=False)
                layer.weight.data.fill_(1.0)
                print(*(float(y) for y in layer(x)[0, 0]))
            """,
            prints="3.0 6.0 9.0 7.0",
            align="""
                x = torch.arange(1.0, 5.0).reshape(1, 1, 4)
                layer = torch.nn.Conv1d(1, 1, 3, bias=False)
                layer.weight.data.fill_(1.0)
                print(*(float(y) for y in layer(torch.nn.functional.pad(x, (2, 0)))[0, 0]))
            """,
        ),
    ),
    Difference(
        id="conv_transpose_same",
        title="A transposed 'same' convolution loses the last pixel in Keras; torch's padding=1 loses the first",
        kind="authoring trap",
        does="With padding=1 and output_padding=1 the shape is right and all of it is one pixel off. A kernel of 4 at "
        "stride 2 is the same in both with padding=1.",
        keras=side(
            formula="of the (n - 1) s + k pixels, (k - s) // 2 are cut off at the start, the rest at the end",
            source="keras/src/layers/convolutional/conv2d_transpose.py: Conv2DTranspose, same, padding",
            code="""
                x = np.arange(1.0, 3.0).reshape(1, 2, 1)
                layer = keras.layers.Conv1DTranspose(1, 3, strides=2, padding="same", use_bias=False)
                layer.build(x.shape)
                layer.set_weights([np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)])
                print(*(float(y) for y in layer(x)[0, :, 0]))
            """,
            prints="1.0 10.0 102.0 20.0",
            align="""
                x = np.arange(1.0, 3.0).reshape(1, 2, 1)
                layer = keras.layers.Conv1DTranspose(1, 3, strides=2, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)])
                print(*(float(y) for y in keras.layers.Cropping1D((1, 0))(layer(x))[0, :, 0]))
            """,
        ),
        torch=side(
            formula="padding pixels are cut off on both sides, less output_padding at the end",
            source="torch/nn/modules/conv.py: ConvTranspose1d, output_padding",
            code="""
                x = torch.arange(1.0, 3.0).reshape(1, 1, 2)
                layer = torch.nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False)
                layer.weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
                print(*(float(y) for y in layer(x)[0, 0]))
            """,
            prints="10.0 102.0 20.0 200.0",
            align="""
                x = torch.arange(1.0, 3.0).reshape(1, 1, 2)
                layer = torch.nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False)
                layer.weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
                print(*(float(y) for y in layer(x)[0, 0, :-1]))
            """,
        ),
    ),
)
