"""Differences in resizing: which pixels are looked at, and with which weights."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="resize_antialias",
        title="A smaller image: Keras's Resizing reads the nearest pixels only, torchvision's Resize all of them",
        kind="authoring trap",
        does="At a quarter of the size, most pixels play no part in Keras. torch's own interpolate does as Keras "
        "does; torchvision and PIL take antialias=True.",
        keras=side(
            formula="bilinear between the two pixels around (i + 1/2) s - 1/2",
            source="keras/src/layers/preprocessing/image_preprocessing/resizing.py: Resizing, antialias",
            code="""
                x = np.array([0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0]).reshape(1, 1, 8, 1)
                print(*(f"{y:.3f}" for y in keras.layers.Resizing(1, 2)(x)[0, 0, :, 0]))
            """,
            prints="0.000 0.000",
            align="""
                x = np.array([0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0]).reshape(1, 1, 8, 1)
                print(*(f"{y:.3f}" for y in keras.layers.Resizing(1, 2, antialias=True)(x)[0, 0, :, 0]))
            """,
        ),
        torch=side(
            formula="a mean of all pixels nearer than s, by their distance",
            source="torch/nn/functional.py: interpolate, antialias",
            code="""
                x = torch.tensor([0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0]).reshape(1, 1, 1, 8)
                # As torchvision.transforms.v2.Resize does it.
                y = torch.nn.functional.interpolate(x, size=(1, 2), mode="bilinear", antialias=True)
                print(*(f"{value:.3f}" for value in y[0, 0, 0]))
            """,
            prints="1.429 2.286",
            align="""
                x = torch.tensor([0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0]).reshape(1, 1, 1, 8)
                y = torch.nn.functional.interpolate(x, size=(1, 2), mode="bilinear", antialias=False)
                print(*(f"{value:.3f}" for value in y[0, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="resize_nearest",
        title="The nearest pixel: measured from a pixel's centre in Keras, from its corner by torch's 'nearest'",
        kind="authoring trap",
        does="Labels and masks move by up to a pixel. By a whole factor, as UpSampling2D does it, both are the same.",
        keras=side(
            formula="x[floor((i + 1/2) s)]",
            source="keras/src/backend/tensorflow/image.py: resize, interpolation",
            code="""
                x = np.arange(5.0).reshape(1, 1, 5, 1)
                print(*(float(y) for y in keras.ops.image.resize(x, (1, 3), interpolation="nearest")[0, 0, :, 0]))
            """,
            prints="0.0 2.0 4.0",
            align="""
                x = np.arange(5.0).reshape(1, 1, 5, 1)
                print(*(float(y) for y in tf.gather(x, np.arange(3) * 5 // 3, axis=2)[0, 0, :, 0]))
            """,
        ),
        torch=side(
            formula="x[floor(i s)]",
            source="torch/nn/functional.py: interpolate, nearest",
            code="""
                x = torch.arange(5.0).reshape(1, 1, 1, 5)
                print(*(float(y) for y in torch.nn.functional.interpolate(x, size=(1, 3), mode="nearest")[0, 0, 0]))
            """,
            prints="0.0 1.0 3.0",
            align="""
                x = torch.arange(5.0).reshape(1, 1, 1, 5)
                y = torch.nn.functional.interpolate(x, size=(1, 3), mode="nearest-exact")
                print(*(float(value) for value in y[0, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="resize_align_corners",
        title="Bilinear upsampling: by pixel centres in Keras, by the outermost pixels in torch's UpsamplingBilinear2d",
        kind="authoring trap",
        does="A decoder's maps are stretched. torch's Upsample(mode='bilinear') does as Keras does.",
        keras=side(
            formula="x at (i + 1/2) / s - 1/2",
            source="keras/src/layers/reshaping/up_sampling2d.py: UpSampling2D, bilinear",
            code="""
                x = np.array([0.0, 1.0]).reshape(1, 1, 2, 1)
                print(*(f"{y:.3f}" for y in keras.layers.UpSampling2D(2, interpolation="bilinear")(x)[0, 0, :, 0]))
            """,
            prints="0.000 0.250 0.750 1.000",
            align="""
                x = np.array([0.0, 1.0]).reshape(1, 1, 2, 1)
                y = tf.compat.v1.image.resize_bilinear(x, (2, 4), align_corners=True)
                print(*(f"{value:.3f}" for value in y[0, 0, :, 0]))
            """,
        ),
        torch=side(
            formula="x at i (n - 1) / (s n - 1)",
            source="torch/nn/modules/upsampling.py: UpsamplingBilinear2d, align_corners",
            code="""
                x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
                print(*(f"{y:.3f}" for y in torch.nn.UpsamplingBilinear2d(scale_factor=2)(x)[0, 0, 0]))
            """,
            prints="0.000 0.333 0.667 1.000",
            align="""
                x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
                print(*(f"{y:.3f}" for y in torch.nn.Upsample(scale_factor=2, mode="bilinear")(x)[0, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="resize_half_pixel",
        title="TensorFlow 1 resized from pixel corners; torch, and Keras today, resize from pixel centres",
        kind="authoring trap",
        does="A model of old Keras with bilinear UpSampling2D comes out shifted by half a pixel.",
        versions="Keras 1 and 2 on TensorFlow 1, as tf.compat.v1 still does it, torch 2.15",
        keras=side(
            formula="x at i / s",
            source="tensorflow/python/ops/image_ops_impl.py: resize_bilinear, half_pixel_centers",
            code="""
                x = np.array([0.0, 1.0]).reshape(1, 1, 2, 1)
                print(*(f"{y:.3f}" for y in tf.compat.v1.image.resize_bilinear(x, (1, 4))[0, 0, :, 0]))
            """,
            prints="0.000 0.500 1.000 1.000",
            align="""
                x = np.array([0.0, 1.0]).reshape(1, 1, 2, 1)
                print(*(f"{y:.3f}" for y in keras.ops.image.resize(x, (1, 4))[0, 0, :, 0]))
            """,
        ),
        torch=side(
            formula="x at (i + 1/2) / s - 1/2",
            source="torch/nn/modules/upsampling.py: Upsample",
            code="""
                x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
                print(*(f"{y:.3f}" for y in torch.nn.Upsample(size=(1, 4), mode="bilinear")(x)[0, 0, 0]))
            """,
            prints="0.000 0.250 0.750 1.000",
            align="""
                x, at = torch.tensor([0.0, 1.0]), torch.arange(4) / 2
                low, part = at.floor().int(), at % 1
                y = x[low] * (1 - part) + x[(low + 1).clamp(max=1)] * part
                print(*(f"{value:.3f}" for value in y))
            """,
        ),
    ),
    Difference(
        id="resize_bicubic",
        title="Bicubic resizing bends with a = -0.5 in Keras and with a = -0.75 in torch",
        kind="authoring trap",
        does="Edges overshoot more in torch. With antialias=True torch has Keras's constant, which is PIL's.",
        keras=side(
            formula="weight (a + 2) t^3 - (a + 3) t^2 + 1 at distance t < 1, with a = -0.5",
            source="tensorflow/python/ops/image_ops_impl.py: ResizeMethod, BICUBIC",
            code="""
                x = np.eye(8)[3].reshape(1, 1, 8, 1)
                print(f"{keras.ops.image.resize(x, (1, 16), interpolation='bicubic')[0, 0, 6, 0]:.4f}")
            """,
            prints="0.8672",
            align="""
                # The weight of the pixel at distance 1/4, all others being 0.
                a, t = -0.75, tf.constant(0.25)
                print(f"{(a + 2) * t**3 - (a + 3) * t**2 + 1:.4f}")
            """,
        ),
        torch=side(
            formula="the same, with a = -0.75",
            source="torch/nn/functional.py: interpolate, bicubic",
            code="""
                x = torch.eye(8)[3].reshape(1, 1, 1, 8)
                print(f"{torch.nn.functional.interpolate(x, size=(1, 16), mode='bicubic')[0, 0, 0, 6]:.4f}")
            """,
            prints="0.8789",
            align="""
                x = torch.eye(8)[3].reshape(1, 1, 1, 8)
                y = torch.nn.functional.interpolate(x, size=(1, 16), mode="bicubic", antialias=True)
                print(f"{y[0, 0, 0, 6]:.4f}")
            """,
        ),
    ),
)
