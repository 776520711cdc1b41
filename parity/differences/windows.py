"""Differences in pooling, and in how the kernels of convolutions are laid out."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="avg_pool_counts_padding",
        title="Average pooling over a border: Keras divides by the pixels inside the image, torch by all of the window",
        kind="authoring trap",
        does="The border comes out darker in torch: a corner of a window of 3 is 4 / 9 of what it is in Keras.",
        keras=side(
            formula="sum / number of pixels inside the image",
            source="keras/src/layers/pooling/average_pooling2d.py: AveragePooling2D, same",
            code="""
                y = keras.layers.AveragePooling2D(3, strides=2, padding="same")(np.ones((1, 5, 5, 1)))
                print(f"{y[0, 0, 0, 0]:.4f}")
            """,
            prints="1.0000",
            align="""
                padded = keras.layers.ZeroPadding2D(1)(np.ones((1, 5, 5, 1)))
                print(f"{keras.layers.AveragePooling2D(3, strides=2)(padded)[0, 0, 0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="sum / (k k), since count_include_pad is True",
            source="torch/nn/modules/pooling.py: AvgPool2d, count_include_pad",
            code="""
                y = torch.nn.AvgPool2d(3, stride=2, padding=1)(torch.ones(1, 1, 5, 5))
                print(f"{y[0, 0, 0, 0]:.4f}")
            """,
            prints="0.4444",
            align="""
                y = torch.nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)(torch.ones(1, 1, 5, 5))
                print(f"{y[0, 0, 0, 0]:.4f}")
            """,
        ),
    ),
    Difference(
        id="max_pool_zero_padding",
        title="Maximum pooling after a layer of zeros is not torch's padding, which is minus infinity",
        kind="authoring trap",
        does="The border differs where all of a window is below zero. After a ReLU the two are the same.",
        keras=side(
            formula="max(x, zeros), as keras.applications writes it: ZeroPadding2D, then pooling",
            source="keras/src/layers/reshaping/zero_padding2d.py: ZeroPadding2D",
            code="""
                x = -np.ones((1, 3, 3, 1))
                y = keras.layers.MaxPooling2D(3, strides=2)(keras.layers.ZeroPadding2D(1)(x))
                print(f"{y[0, 0, 0, 0]:.1f}")
            """,
            prints="0.0",
            align="""
                x = -np.ones((1, 3, 3, 1))
                print(f"{keras.layers.MaxPooling2D(3, strides=2, padding='same')(x)[0, 0, 0, 0]:.1f}")
            """,
        ),
        torch=side(
            formula="max(x, -inf)",
            source="torch/nn/modules/pooling.py: MaxPool2d, padding",
            code="""
                print(f"{torch.nn.MaxPool2d(3, stride=2, padding=1)(-torch.ones(1, 1, 3, 3))[0, 0, 0, 0]:.1f}")
            """,
            prints="-1.0",
            align="""
                padded = torch.nn.functional.pad(-torch.ones(1, 1, 3, 3), (1, 1, 1, 1))
                print(f"{torch.nn.MaxPool2d(3, stride=2)(padded)[0, 0, 0, 0]:.1f}")
            """,
        ),
    ),
    Difference(
        id="pool_odd_size",
        title="Pooling an odd size: 'same' in Keras keeps the last pixel, torch drops it unless ceil_mode is set",
        kind="authoring trap",
        does="The map is smaller by one row and column, which a global average hides.",
        keras=side(
            formula="ceil(n / s) windows",
            source="keras/src/layers/pooling/max_pooling1d.py: MaxPooling1D, same",
            code="""
                x = np.arange(5.0).reshape(1, 5, 1)
                print(*(float(y) for y in keras.layers.MaxPooling1D(2, padding="same")(x)[0, :, 0]))
            """,
            prints="1.0 3.0 4.0",
            align="""
                x = np.arange(5.0).reshape(1, 5, 1)
                print(*(float(y) for y in keras.layers.MaxPooling1D(2)(x)[0, :, 0]))
            """,
        ),
        torch=side(
            formula="floor((n - k) / s) + 1 windows",
            source="torch/nn/modules/pooling.py: MaxPool1d, ceil_mode",
            code="""
                print(*(float(y) for y in torch.nn.MaxPool1d(2)(torch.arange(5.0).reshape(1, 1, 5))[0, 0]))
            """,
            prints="1.0 3.0",
            align="""
                x = torch.arange(5.0).reshape(1, 1, 5)
                print(*(float(y) for y in torch.nn.MaxPool1d(2, ceil_mode=True)(x)[0, 0]))
            """,
        ),
    ),
    Difference(
        id="conv_kernel_layout",
        title="A convolution's kernel is (height, width, in, out) in Keras, (out, in, height, width) in torch",
        kind="authoring trap",
        does="Turned with .T, as a dense kernel is, a square kernel fits and lies on its side.",
        keras=side(
            formula="y[o] = sum x[h, w, i] W[h, w, i, o]",
            source="keras/src/layers/convolutional/base_conv.py: kernel, kernel_shape",
            code="""
                x, kernel = np.arange(4.0).reshape(1, 2, 2, 1), np.arange(4.0).reshape(2, 2, 1, 1)
                layer = keras.layers.Conv2D(1, 2, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([kernel])
                print(float(layer(x)[0, 0, 0, 0]))
            """,
            prints="14.0",
            align="""
                x, kernel = np.arange(4.0).reshape(1, 2, 2, 1), np.arange(4.0).reshape(2, 2, 1, 1)
                layer = keras.layers.Conv2D(1, 2, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([kernel.transpose(1, 0, 2, 3)])
                print(float(layer(x)[0, 0, 0, 0]))
            """,
        ),
        torch=side(
            formula="y[o] = sum x[i, h, w] W[o, i, h, w]; here W = kernel.T",
            source="torch/nn/modules/conv.py: Conv2d, kernel_size, weight",
            code="""
                x, kernel = torch.arange(4.0).reshape(1, 1, 2, 2), np.arange(4.0, dtype=np.float32).reshape(2, 2, 1, 1)
                layer = torch.nn.Conv2d(1, 1, 2, bias=False)
                layer.weight.data = torch.from_numpy(kernel.T)
                print(float(layer(x)[0, 0, 0, 0]))
            """,
            prints="13.0",
            align="""
                x, kernel = torch.arange(4.0).reshape(1, 1, 2, 2), np.arange(4.0, dtype=np.float32).reshape(2, 2, 1, 1)
                layer = torch.nn.Conv2d(1, 1, 2, bias=False)
                layer.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1))
                print(float(layer(x)[0, 0, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="depthwise_kernel_layout",
        title="A depthwise kernel is (height, width, channels, multiplier); turned like others, it fits and is wrong",
        kind="authoring trap",
        does="Channels and their copies change places. With a multiplier of 1 both ways are the same.",
        keras=side(
            formula="y[c M + m] = sum x[h, w, c] W[h, w, c, m]",
            source="keras/src/layers/convolutional/base_depthwise_conv.py: depth_multiplier",
            code="""
                x, kernel = np.array([1.0, 10.0]).reshape(1, 1, 1, 2), np.arange(4.0).reshape(1, 1, 2, 2)
                layer = keras.layers.DepthwiseConv2D(1, depth_multiplier=2, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([kernel])
                print(*(float(y) for y in layer(x)[0, 0, 0]))
            """,
            prints="0.0 1.0 20.0 30.0",
            align="""
                x, kernel = np.array([1.0, 10.0]).reshape(1, 1, 1, 2), np.arange(4.0).reshape(1, 1, 2, 2)
                layer = keras.layers.DepthwiseConv2D(1, depth_multiplier=2, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([kernel.transpose(0, 1, 3, 2)])
                print(*(float(y) for y in layer(x)[0, 0, 0]))
            """,
        ),
        torch=side(
            formula="y[c M + m] = sum x[c, h, w] W[c M + m, 0, h, w], groups = channels",
            source="torch/nn/modules/conv.py: Conv2d, groups",
            code="""
                x, kernel = torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1), torch.arange(4.0).reshape(1, 1, 2, 2)
                layer = torch.nn.Conv2d(2, 4, 1, groups=2, bias=False)
                layer.weight.data = kernel.permute(3, 2, 0, 1).reshape(layer.weight.shape)
                print(*(float(y) for y in layer(x)[0, :, 0, 0]))
            """,
            prints="0.0 2.0 10.0 30.0",
            align="""
                x, kernel = torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1), torch.arange(4.0).reshape(1, 1, 2, 2)
                layer = torch.nn.Conv2d(2, 4, 1, groups=2, bias=False)
                layer.weight.data = kernel.permute(2, 3, 0, 1).reshape(layer.weight.shape)
                print(*(float(y) for y in layer(x)[0, :, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="conv_transpose_kernel_layout",
        title="A transposed convolution's kernel: (height, width, out, in) in Keras, (in, out, height, width) in torch",
        kind="authoring trap",
        does="In both frameworks, in and out stand the other way round than in an ordinary convolution's kernel, so "
        "permute(3, 2, 0, 1) is right for either. With as many channels in as out, mistaking one for the other fits.",
        keras=side(
            formula="y[o] = sum x[i] W[h, w, o, i]",
            source="keras/src/layers/convolutional/base_conv_transpose.py: kernel, filters",
            code="""
                x, kernel = np.array([1.0, 10.0]).reshape(1, 1, 1, 2), np.arange(4.0).reshape(1, 1, 2, 2)
                layer = keras.layers.Conv2DTranspose(2, 1, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([kernel])
                print(*(float(y) for y in layer(x)[0, 0, 0]))
            """,
            prints="10.0 32.0",
            align="""
                x, kernel = np.array([1.0, 10.0]).reshape(1, 1, 1, 2), np.arange(4.0).reshape(1, 1, 2, 2)
                layer = keras.layers.Conv2DTranspose(2, 1, use_bias=False)
                layer.build(x.shape)
                layer.set_weights([kernel.transpose(0, 1, 3, 2)])
                print(*(float(y) for y in layer(x)[0, 0, 0]))
            """,
        ),
        torch=side(
            formula="y[o] = sum x[i] W[i, o, h, w]; here with the kernel's axes taken for (h, w, in, out)",
            source="torch/nn/modules/conv.py: ConvTranspose2d, in_channels, out_channels",
            code="""
                x, kernel = torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1), torch.arange(4.0).reshape(1, 1, 2, 2)
                layer = torch.nn.ConvTranspose2d(2, 2, 1, bias=False)
                layer.weight.data = kernel.permute(2, 3, 0, 1)
                print(*(float(y) for y in layer(x)[0, :, 0, 0]))
            """,
            prints="20.0 31.0",
            align="""
                x, kernel = torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1), torch.arange(4.0).reshape(1, 1, 2, 2)
                layer = torch.nn.ConvTranspose2d(2, 2, 1, bias=False)
                layer.weight.data = kernel.permute(3, 2, 0, 1)
                print(*(float(y) for y in layer(x)[0, :, 0, 0]))
            """,
        ),
    ),
)
