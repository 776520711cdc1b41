"""Differences in how weights start and lie in memory."""

from parity.differences.entry import Difference, side

DOCUMENT = "docs/initializers.md"

ENTRIES = (
    Difference(
        id="dense_default_init",
        title="A dense layer's own start: Glorot and zero biases in Keras, narrower and random biases in torch",
        kind="data and start",
        does="torch's weights are half as wide in a 784-256 layer: deep ReLU nets start learning later.",
        keras=side(
            formula="W ~ U(-b, b) with b = sqrt(6 / (inputs + units)); bias 0",
            source="keras/src/layers/core/dense.py: Dense, build",
            code="""
                layer = keras.layers.Dense(256)
                layer.build((None, 784))
                kernel, bias = layer.get_weights()
                print(f"{kernel.std():.3f}", bias.any())
            """,
            prints="0.044 False",
            align="""
                layer = keras.layers.Dense(
                    256,
                    kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
                    bias_initializer=keras.initializers.RandomUniform(-(784**-0.5), 784**-0.5),
                )
                layer.build((None, 784))
                kernel, bias = layer.get_weights()
                print(f"{kernel.std():.3f}", bias.any())
            """,
        ),
        torch=side(
            formula="W and bias ~ U(-b, b) with b = 1 / sqrt(inputs)",
            source="torch/nn/modules/linear.py: Linear, reset_parameters",
            code="""
                layer = torch.nn.Linear(784, 256)
                weight, bias = (tensor.detach().numpy() for tensor in layer.parameters())
                print(f"{weight.std():.3f}", bias.any())
            """,
            prints="0.021 True",
            align="""
                layer = torch.nn.Linear(784, 256)
                torch.nn.init.xavier_uniform_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
                weight, bias = (tensor.detach().numpy() for tensor in layer.parameters())
                print(f"{weight.std():.3f}", bias.any())
            """,
        ),
        document=DOCUMENT,
    ),
    Difference(
        id="weight_layout_transpose",
        title="Keras's kernel is (inputs, units), torch's weight (units, inputs)",
        kind="authoring trap",
        does="An initializer that is given the other framework's layout takes the wrong side for the fan in.",
        keras=side(
            formula="y = x W + b; fan_in = shape[0]",
            source="keras/src/initializers/random_initializers.py: compute_fans",
            code="""
                kernel = keras.initializers.HeNormal(seed=0)((784, 256))
                print(f"{np.std(kernel):.2f}")
            """,
            prints="0.05",
            align="""
                # The mistake, made in Keras.
                kernel = np.transpose(keras.initializers.HeNormal(seed=0)((256, 784)))
                print(f"{np.std(kernel):.2f}")
            """,
        ),
        torch=side(
            formula="y = x W^T + b; fan_in = size(1)",
            source="torch/nn/init.py: _calculate_fan_in_and_fan_out",
            code="""
                kernel = torch.nn.init.kaiming_normal_(torch.empty(784, 256))
                print(f"{kernel.std():.2f}")
            """,
            prints="0.09",
            align="""
                weight = torch.nn.init.kaiming_normal_(torch.empty(256, 784))
                kernel = weight.T
                print(f"{kernel.std():.2f}")
            """,
        ),
    ),
    Difference(
        id="shared_initializer_instance",
        title="One initializer object gives every layer of one shape the same weights in Keras",
        kind="authoring trap",
        does="Layers of one shape start identical, as all the 5-5 layers of the XOR net would.",
        keras=side(
            formula="an instance draws from its own seed, which is the same at each call",
            source="keras/src/initializers/random_initializers.py: RandomInitializer",
            code="""
                start = keras.initializers.HeNormal(seed=0)
                a, b = start((5, 5)), start((5, 5))
                print(np.array_equal(a, b))
            """,
            prints="True",
            align="""
                # Or one instance for each layer, or its name: "he_normal".
                start = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(0))
                a, b = start((5, 5)), start((5, 5))
                print(np.array_equal(a, b))
            """,
        ),
        torch=side(
            formula="each call draws on from one generator",
            source="torch/nn/init.py: kaiming_normal_",
            code="""
                a, b = (torch.nn.init.kaiming_normal_(torch.empty(5, 5)) for _ in range(2))
                print(torch.equal(a, b))
            """,
            prints="False",
            align="""
                a = torch.nn.init.kaiming_normal_(torch.empty(5, 5))
                b = a.clone()
                print(torch.equal(a, b))
            """,
        ),
    ),
    Difference(
        id="he_glorot_lecun_normal_truncated",
        title="he_normal, glorot_normal and lecun_normal are cut at two deviations in Keras, not in torch",
        kind="data and start",
        does="The deviation is the same; two percent of torch's values lie beyond Keras's largest.",
        keras=side(
            formula="N(0, s^2) cut at 2 s, with s = sqrt(2 / inputs) / 0.8796",
            source="keras/src/initializers/random_initializers.py: VarianceScaling, HeNormal, GlorotNormal",
            code="""
                kernel = np.array(keras.initializers.HeNormal(seed=0)((1000, 1000)))
                print(f"{(np.abs(kernel) > 2.3 * kernel.std()).mean():.2f}")
            """,
            prints="0.00",
            align="""
                start = keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal", seed=0)
                kernel = np.array(start((1000, 1000)))
                print(f"{(np.abs(kernel) > 2.3 * kernel.std()).mean():.2f}")
            """,
        ),
        torch=side(
            formula="N(0, s^2) with s = sqrt(2 / inputs)",
            source="torch/nn/init.py: kaiming_normal_, xavier_normal_",
            code="""
                weight = torch.nn.init.kaiming_normal_(torch.empty(1000, 1000), nonlinearity="relu")
                print(f"{(weight.abs() > 2.3 * weight.std()).float().mean():.2f}")
            """,
            prints="0.02",
            align="""
                s = (2 / 1000) ** 0.5 / 0.87962566103423978
                weight = torch.nn.init.trunc_normal_(torch.empty(1000, 1000), std=s, a=-2 * s, b=2 * s)
                print(f"{(weight.abs() > 2.3 * weight.std()).float().mean():.2f}")
            """,
        ),
        document=DOCUMENT,
    ),
    Difference(
        id="truncated_normal_semantics",
        title="A truncated normal's limits are deviations in Keras and values in torch",
        kind="authoring trap",
        does="torch's default limits, -2 and 2, cut nothing from a deviation of 0.05.",
        keras=side(
            formula="N(0, s^2) cut at 2 s, and not widened: its deviation is 0.88 s",
            source="keras/src/initializers/random_initializers.py: TruncatedNormal",
            code="""
                values = keras.initializers.TruncatedNormal(stddev=0.05, seed=0)((1000, 1000))
                print(f"{np.std(values):.3f}")
            """,
            prints="0.044",
            align="""
                values = keras.initializers.RandomNormal(stddev=0.05, seed=0)((1000, 1000))
                print(f"{np.std(values):.3f}")
            """,
        ),
        torch=side(
            formula="N(0, s^2) cut at a and b, by default -2 and 2",
            source="torch/nn/init.py: trunc_normal_",
            code="""
                values = torch.nn.init.trunc_normal_(torch.empty(1000, 1000), std=0.05)
                print(f"{values.std():.3f}")
            """,
            prints="0.050",
            align="""
                values = torch.nn.init.trunc_normal_(torch.empty(1000, 1000), std=0.05, a=-0.1, b=0.1)
                print(f"{values.std():.3f}")
            """,
        ),
        document=DOCUMENT,
    ),
    Difference(
        id="normal_uniform_defaults",
        title="The width of a normal or uniform start that is not given: 0.05 in Keras, 1 in torch",
        kind="authoring trap",
        does="Twenty times the deviation; torch's uniform values are also all positive.",
        keras=side(
            formula="N(0, 0.05^2); U(-0.05, 0.05)",
            source="keras/src/initializers/random_initializers.py: RandomNormal, RandomUniform",
            code="""
                normal = keras.initializers.RandomNormal(seed=0)((1000, 1000))
                uniform = keras.initializers.RandomUniform(seed=0)((1000, 1000))
                print(f"{np.std(normal):.2f}", f"{np.min(uniform):.2f}", f"{np.max(uniform):.2f}")
            """,
            prints="0.05 -0.05 0.05",
            align="""
                normal = keras.initializers.RandomNormal(stddev=1, seed=0)((1000, 1000))
                uniform = keras.initializers.RandomUniform(0, 1, seed=0)((1000, 1000))
                print(f"{np.std(normal):.2f}", f"{np.min(uniform):.2f}", f"{np.max(uniform):.2f}")
            """,
        ),
        torch=side(
            formula="N(0, 1); U(0, 1)",
            source="torch/nn/init.py: normal_, uniform_",
            code="""
                normal = torch.nn.init.normal_(torch.empty(1000, 1000))
                uniform = torch.nn.init.uniform_(torch.empty(1000, 1000))
                print(f"{normal.std():.2f}", f"{uniform.min():.2f}", f"{uniform.max():.2f}")
            """,
            prints="1.00 0.00 1.00",
            align="""
                normal = torch.nn.init.normal_(torch.empty(1000, 1000), std=0.05)
                uniform = torch.nn.init.uniform_(torch.empty(1000, 1000), -0.05, 0.05)
                print(f"{normal.std():.2f}", f"{uniform.min():.2f}", f"{uniform.max():.2f}")
            """,
        ),
        document=DOCUMENT,
    ),
)
