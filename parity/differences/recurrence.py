"""Differences in recurrent layers: biases, axes, which step is the last, dropout, the start."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="lstm_two_biases",
        title="An LSTM's one bias in Keras is the sum of two in torch, and the sum learns twice as fast",
        kind="authoring trap",
        does="The first loss agrees and the second does not: both halves have the same gradient, so SGD moves their "
        "sum twice as far, and so does Adam, which gives each half a whole step. A GRU with reset_after=False and a "
        "SimpleRNN have one bias in Keras, too.",
        keras=side(
            formula="gates = x W + h U + b; b -= lr g",
            source="keras/src/layers/rnn/lstm.py: LSTMCell, bias",
            code="""
                layer = keras.layers.LSTM(1, "tanh", "sigmoid", True, "ones", "ones", unit_forget_bias=False)
                layer.build((1, 3, 1))
                with tf.GradientTape() as tape:
                    cost = tf.reduce_sum(layer(np.ones((1, 3, 1))))
                bias = layer.trainable_weights[2]
                keras.optimizers.SGD(0.1).apply([tape.gradient(cost, bias)], [bias])
                print(f"{np.sum(bias):.4f}")
            """,
            prints="-0.0311",
            align="""
                layer = keras.layers.LSTM(1, "tanh", "sigmoid", True, "ones", "ones", unit_forget_bias=False)
                layer.build((1, 3, 1))
                with tf.GradientTape() as tape:
                    cost = tf.reduce_sum(layer(np.ones((1, 3, 1))))
                bias = layer.trainable_weights[2]
                keras.optimizers.SGD(0.1).apply([2 * tape.gradient(cost, bias)], [bias])
                print(f"{np.sum(bias):.4f}")
            """,
        ),
        torch=side(
            formula="gates = W x + b_ih + U h + b_hh; b_ih -= lr g; b_hh -= lr g",
            source="torch/nn/modules/rnn.py: LSTM, bias_ih_l, bias_hh_l",
            code="""
                layer = torch.nn.LSTM(1, 1, batch_first=True)
                for name, weight in layer.named_parameters():
                    weight.data.fill_(0.0 if "bias" in name else 1.0)
                layer(torch.ones(1, 3, 1))[0][:, -1].sum().backward()
                torch.optim.SGD(layer.parameters(), lr=0.1).step()
                print(f"{float((layer.bias_ih_l0 + layer.bias_hh_l0).sum()):.4f}")
            """,
            prints="-0.0622",
            align="""
                layer = torch.nn.LSTM(1, 1, batch_first=True)
                for name, weight in layer.named_parameters():
                    weight.data.fill_(0.0 if "bias" in name else 1.0)
                layer.bias_hh_l0.requires_grad_(False)  # all of Keras's bias is in bias_ih_l0
                layer(torch.ones(1, 3, 1))[0][:, -1].sum().backward()
                torch.optim.SGD(layer.parameters(), lr=0.1).step()
                print(f"{float((layer.bias_ih_l0 + layer.bias_hh_l0).sum()):.4f}")
            """,
        ),
    ),
    Difference(
        id="lstm_batch_first",
        title="A recurrent layer reads (batch, steps, features) in Keras and (steps, batch, features) in torch",
        kind="authoring trap",
        does="Without batch_first=True the state walks over the samples of the batch, and no shape tells: a sample's "
        "output depends on the others in its batch.",
        keras=side(
            formula="h_t of sample i from x[i, t]",
            source="keras/src/layers/rnn/rnn.py: RNN, timesteps",
            code="""
                x = np.arange(6, dtype=np.float32).reshape(2, 3, 1) / 10
                layer = keras.layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones")
                print(*(f"{y:.4f}" for y in layer(x)[:, 0]))
            """,
            prints="0.0848 0.4004",
            align="""
                x = np.arange(6, dtype=np.float32).reshape(2, 3, 1) / 10
                layer = keras.layers.LSTM(
                    1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones", return_sequences=True
                )
                y = keras.ops.swapaxes(layer(x.swapaxes(0, 1)), 0, 1)
                print(*(f"{y:.4f}" for y in y[:, -1, 0]))
            """,
        ),
        torch=side(
            formula="h_t of sample i from x[t, i], unless batch_first=True",
            source="torch/nn/modules/rnn.py: LSTM, batch_first",
            code="""
                x = torch.arange(6.0).reshape(2, 3, 1) / 10
                layer = torch.nn.LSTM(1, 1, bias=False)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(*(f"{float(y):.4f}" for y in layer(x)[0][:, -1, 0]))
            """,
            prints="0.0594 0.2374",
            align="""
                x = torch.arange(6.0).reshape(2, 3, 1) / 10
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(*(f"{float(y):.4f}" for y in layer(x)[0][:, -1, 0]))
            """,
        ),
    ),
    Difference(
        id="bidirectional_last_step",
        title="The end of a bidirectional layer: Keras takes where each direction ends, [:, -1] in torch does not",
        kind="authoring trap",
        does="At the last position, torch's backward half has read a single step.",
        keras=side(
            formula="[forward h after x_1 .. x_T, backward h after x_T .. x_1]",
            source="keras/src/layers/rnn/bidirectional.py: Bidirectional, backward_layer, merge_mode",
            code="""
                x = np.array([[[1.0], [2.0], [3.0]]])
                inner = keras.layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones")
                print(*(f"{y:.4f}" for y in keras.layers.Bidirectional(inner)(x)[0]))
            """,
            prints="0.9609 0.8547",
            align="""
                x = np.array([[[1.0], [2.0], [3.0]]])
                inner = keras.layers.LSTM(
                    1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones", return_sequences=True
                )
                print(*(f"{y:.4f}" for y in keras.layers.Bidirectional(inner)(x)[0, -1]))
            """,
        ),
        torch=side(
            formula="out[:, -1] = [forward h after x_1 .. x_T, backward h after x_T]",
            source="torch/nn/modules/rnn.py: LSTM, bidirectional, h_n",
            code="""
                x = torch.tensor([[[1.0], [2.0], [3.0]]])
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True, bidirectional=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(*(f"{float(y):.4f}" for y in layer(x)[0][0, -1]))
            """,
            prints="0.9609 0.7038",
            align="""
                x = torch.tensor([[[1.0], [2.0], [3.0]]])
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True, bidirectional=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                _, (h_n, _) = layer(x)
                print(*(f"{float(y):.4f}" for y in torch.cat([h_n[-2], h_n[-1]], dim=1)[0]))
            """,
        ),
    ),
    Difference(
        id="lstm_dropout",
        title="A recurrent layer's dropout acts on what it reads in Keras, and only between stacked layers in torch",
        kind="authoring trap",
        does="In torch, a single layer with dropout=0.5 drops nothing. Keras's drops the same features at every step.",
        keras=side(
            formula="x_t mask, the same mask for all t",
            source="keras/src/layers/rnn/lstm.py: LSTM, dropout",
            code="""
                layer = keras.layers.LSTM(1, kernel_initializer="ones", dropout=0.5)
                outputs = [float(layer(np.ones((1, 2, 100)) / 100, training=True)[0, 0]) for _ in range(3)]
                print(len(set(outputs)) > 1)
            """,
            prints="True",
            align="""
                layer = keras.layers.LSTM(1, kernel_initializer="ones")
                outputs = [float(layer(np.ones((1, 2, 100)) / 100, training=True)[0, 0]) for _ in range(3)]
                print(len(set(outputs)) > 1)
            """,
        ),
        torch=side(
            formula="h_t mask between one layer and the next, if num_layers > 1",
            source="torch/nn/modules/rnn.py: LSTM, dropout, num_layers",
            code="""
                layer = torch.nn.LSTM(100, 1, batch_first=True, dropout=0.5)
                outputs = [float(layer(torch.ones(1, 2, 100) / 100)[0][0, -1, 0]) for _ in range(3)]
                print(len(set(outputs)) > 1)
            """,
            prints="False",
            align="""
                layer = torch.nn.LSTM(100, 1, batch_first=True)
                outputs = []
                for _ in range(3):
                    mask = torch.nn.functional.dropout(torch.ones(1, 1, 100), 0.5)
                    outputs.append(float(layer(mask * torch.ones(1, 2, 100) / 100)[0][0, -1, 0]))
                print(len(set(outputs)) > 1)
            """,
        ),
    ),
    Difference(
        id="lstm_default_init",
        title="An LSTM's own start: orthogonal and a forget bias of 1 in Keras, all uniform in torch",
        kind="data and start",
        does="Keras's remembers from the start; torch's forgets half at each step until it has learnt otherwise.",
        keras=side(
            formula="kernel glorot_uniform, recurrent kernel orthogonal, biases 0 but the forget gate's 1",
            source="keras/src/layers/rnn/lstm.py: LSTM, unit_forget_bias, recurrent_initializer",
            code="""
                layer = keras.layers.LSTM(4)
                layer.build((1, 3, 2))
                recurrent, bias = layer.get_weights()[1:]
                print(np.allclose(recurrent @ recurrent.T, np.eye(4), atol=1e-5), np.all(bias[4:8] == 1))
            """,
            prints="True True",
            align="""
                uniform = keras.initializers.RandomUniform(-(4**-0.5), 4**-0.5)
                layer = keras.layers.LSTM(4, "tanh", "sigmoid", True, uniform, uniform, uniform, unit_forget_bias=False)
                layer.build((1, 3, 2))
                recurrent, bias = layer.get_weights()[1:]
                print(np.allclose(recurrent @ recurrent.T, np.eye(4), atol=1e-5), np.all(bias[4:8] == 1))
            """,
        ),
        torch=side(
            formula="all uniform in -1 / sqrt(units) .. 1 / sqrt(units)",
            source="torch/nn/modules/rnn.py: RNNBase, reset_parameters, stdv",
            code="""
                layer = torch.nn.LSTM(2, 4)
                recurrent, bias = layer.weight_hh_l0.detach(), (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
                print(torch.allclose(recurrent.T @ recurrent, torch.eye(4), atol=1e-5), bool((bias[4:8] == 1).all()))
            """,
            prints="False False",
            align="""
                layer = torch.nn.LSTM(2, 4)
                torch.nn.init.xavier_uniform_(layer.weight_ih_l0)
                # Keras draws (units, 4 units) as one orthogonal matrix.
                torch.nn.init.orthogonal_(layer.weight_hh_l0)
                torch.nn.init.zeros_(layer.bias_ih_l0)
                torch.nn.init.zeros_(layer.bias_hh_l0)
                layer.bias_ih_l0.data[4:8] = 1.0
                recurrent, bias = layer.weight_hh_l0.detach(), (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
                print(torch.allclose(recurrent.T @ recurrent, torch.eye(4), atol=1e-5), bool((bias[4:8] == 1).all()))
            """,
        ),
    ),
)
