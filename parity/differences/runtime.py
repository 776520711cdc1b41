"""Differences of precision: types, denormal numbers, TF32, pixels."""

from parity.differences.entry import Difference, Effect, side

ENTRIES = (
    Difference(
        id="pixel_scaling",
        title="Pixels times float32(1/255), as keras.layers.Rescaling does it, are not pixels divided by 255",
        kind="choice",
        does="126 of 256 values differ in their last place: before training, no loss curve is the same.",
        keras=side(
            formula="x float32(1 / 255), in float64 too",
            source="keras/src/layers/preprocessing/rescaling.py: Rescaling",
            code="""
                x, factor = np.arange(256, dtype=np.float32), np.float32(1 / 255)
                scaled = np.array(keras.layers.Rescaling(1 / 255)(x))
                print(np.count_nonzero(scaled != x / np.float32(255)), np.count_nonzero(scaled != x * factor))
            """,
            prints="126 0",
            align="""
                x, factor = np.arange(256, dtype=np.float32), np.float32(1 / 255)
                scaled = (tf.constant(x) / 255).numpy()
                print(np.count_nonzero(scaled != x / np.float32(255)), np.count_nonzero(scaled != x * factor))
            """,
        ),
        torch=side(
            formula="x / 255, as torchvision's ToTensor does it; its v2.ToDtype does as Keras",
            source="torch/_torch_docs.py: div",
            code="""
                x, factor = np.arange(256, dtype=np.float32), np.float32(1 / 255)
                scaled = (torch.from_numpy(x) / 255).numpy()
                print(np.count_nonzero(scaled != x / np.float32(255)), np.count_nonzero(scaled != x * factor))
            """,
            prints="0 126",
            align="""
                x, factor = np.arange(256, dtype=np.float32), np.float32(1 / 255)
                scaled = (torch.from_numpy(x) * (1 / 255)).numpy()
                print(np.count_nonzero(scaled != x / np.float32(255)), np.count_nonzero(scaled != x * factor))
            """,
        ),
        effect=Effect("pixel_scaling", "mnist_softmax", "inputs"),
    ),
    Difference(
        id="dtype_defaults",
        title="A float64 input is rounded to float32 by a Keras layer and refused by torch's",
        kind="authoring trap",
        does="In Keras a float64 experiment runs in float32 without a word.",
        keras=side(
            formula="a layer casts floats to its own type",
            source="keras/src/layers/layer.py: Layer, autocast",
            code="""
                print(keras.layers.Dense(1)(np.zeros((1, 2))).dtype.name)
            """,
            prints="float32",
            align="""
                layer, x = keras.layers.Dense(1), np.zeros((1, 2))
                layer.build(x.shape)
                print("refused" if layer.kernel.dtype != x.dtype.name else layer(x).dtype.name)
            """,
        ),
        torch=side(
            formula="a product of two types raises RuntimeError",
            source="torch/nn/modules/linear.py: Linear, forward",
            code="""
                layer, x = torch.nn.Linear(2, 1), torch.from_numpy(np.zeros((1, 2)))
                try:
                    print(layer(x).dtype)
                except RuntimeError:
                    print("refused")
            """,
            prints="refused",
            align="""
                layer, x = torch.nn.Linear(2, 1), torch.from_numpy(np.zeros((1, 2)))
                print(str(layer(x.to(layer.weight.dtype)).dtype).removeprefix("torch."))
            """,
        ),
    ),
    Difference(
        id="tf32",
        title="float32 products on Ampere GPUs and later: rounded to TF32 by TensorFlow, not by torch",
        kind="runtime",
        does="Ten bits of precision in place of 23, on such a GPU only; a CPU takes no notice.",
        keras=side(
            formula="TF32 is on",
            source="tensorflow/python/framework/config.py: tensor_float_32_execution_enabled",
            code="""
                print(tf.config.experimental.tensor_float_32_execution_enabled())
            """,
            prints="True",
            align="""
                tf.config.experimental.enable_tensor_float_32_execution(False)
                print(tf.config.experimental.tensor_float_32_execution_enabled())
            """,
        ),
        torch=side(
            formula="TF32 is off for products",
            source="torch/backends/cuda/__init__.py: cuBLASModule",
            code="""
                print(torch.backends.cuda.matmul.fp32_precision == "tf32")
            """,
            prints="False",
            align="""
                torch.backends.cuda.matmul.fp32_precision = "tf32"
                print(torch.backends.cuda.matmul.fp32_precision == "tf32")
            """,
        ),
    ),
    Difference(
        id="denormals_flushed",
        title="Numbers below 1.2e-38 are zero to TensorFlow's CPU kernels and kept by torch",
        kind="runtime",
        does="Saturated sigmoids and squares of tiny gradients; the project lets torch flush them, too.",
        keras=side(
            formula="1e-40 * 1 = 0",
            source="tensorflow/python/ops/math_ops.py: multiply",
            code="""
                print(float((tf.fill([64], np.float32(1e-40)) * 1.0)[0]) != 0)
            """,
            prints="False",
            align="""
                # There is no switch; float64 keeps them.
                print(float((tf.fill([64], np.float64(np.float32(1e-40))) * 1.0)[0]) != 0)
            """,
        ),
        torch=side(
            formula="1e-40 * 1 = 1e-40",
            source="torch/_torch_docs.py: set_flush_denormal",
            code="""
                print(float((torch.full([64], 1e-40) * 1.0)[0]) != 0)
            """,
            prints="True",
            align="""
                torch.set_flush_denormal(True)
                print(float((torch.full([64], 1e-40) * 1.0)[0]) != 0)
                torch.set_flush_denormal(False)
            """,
        ),
    ),
)
