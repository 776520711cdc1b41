"""Differences in the gates of recurrent layers: their order, and what they compute."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="gru_gate_order",
        title="A GRU's gates are stacked update, reset, candidate in Keras and reset, update, candidate in torch",
        kind="authoring trap",
        does="Weights that are only transposed fit, and the two gates change places. An LSTM's order is the same in "
        "both, which hides it.",
        keras=side(
            formula="W = [W_z, W_r, W_h], in columns",
            source="keras/src/layers/rnn/gru.py: GRUCell, x_z, x_r, x_h",
            code="""
                kernel, recurrent = np.array([[2.0, -1.0, 0.5]]), np.array([[0.3, -0.6, 0.9]])
                layer = keras.layers.GRU(1, use_bias=False)
                layer.build((1, 3, 1))
                layer.set_weights([kernel, recurrent])
                print(f"{layer(np.ones((1, 3, 1)))[0, 0]:.4f}")
            """,
            prints="0.1478",
            align="""
                kernel, recurrent = np.array([[2.0, -1.0, 0.5]]), np.array([[0.3, -0.6, 0.9]])


                def reordered(w):
                    reset, update, candidate = np.split(w, 3, axis=1)
                    return np.concatenate([update, reset, candidate], axis=1)


                layer = keras.layers.GRU(1, use_bias=False)
                layer.build((1, 3, 1))
                layer.set_weights([reordered(kernel), reordered(recurrent)])
                print(f"{layer(np.ones((1, 3, 1)))[0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="W = [W_r, W_z, W_n], in rows",
            source="torch/nn/modules/rnn.py: GRU, W_ir, W_iz, W_in",
            code="""
                kernel, recurrent = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.3, -0.6, 0.9]])
                layer = torch.nn.GRU(1, 1, bias=False, batch_first=True)
                layer.weight_ih_l0.data, layer.weight_hh_l0.data = kernel.T, recurrent.T
                print(f"{float(layer(torch.ones(1, 3, 1))[0][0, -1, 0]):.4f}")
            """,
            prints="0.7114",
            align="""
                kernel, recurrent = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.3, -0.6, 0.9]])


                def reordered(w):
                    update, reset, candidate = w.T.chunk(3)
                    return torch.cat([reset, update, candidate])


                layer = torch.nn.GRU(1, 1, bias=False, batch_first=True)
                layer.weight_ih_l0.data, layer.weight_hh_l0.data = reordered(kernel), reordered(recurrent)
                print(f"{float(layer(torch.ones(1, 3, 1))[0][0, -1, 0]):.4f}")
            """,
        ),
    ),
    Difference(
        id="gru_reset_after",
        title="A GRU's reset gate acts before the recurrent product with Keras's reset_after=False, after it in torch",
        kind="authoring trap",
        does="Another layer, whose weights fit. reset_after=False was the default of old Keras and is in its "
        "checkpoints; today's default, True, is what torch computes.",
        keras=side(
            formula="h' = tanh(x W_h + (r h) U_h)",
            source="keras/src/layers/rnn/gru.py: GRUCell, reset_after",
            code="""
                kernel, recurrent = np.sin(np.arange(6.0)).reshape(1, 6), np.cos(np.arange(12.0)).reshape(2, 6)
                layer = keras.layers.GRU(2, use_bias=False, reset_after=False)
                layer.build((1, 3, 1))
                layer.set_weights([kernel, recurrent])
                print(f"{layer(np.ones((1, 3, 1)))[0, 0]:.4f}")
            """,
            prints="-0.3244",
            align="""
                kernel, recurrent = np.sin(np.arange(6.0)).reshape(1, 6), np.cos(np.arange(12.0)).reshape(2, 6)
                layer = keras.layers.GRU(2, use_bias=False, reset_after=True)
                layer.build((1, 3, 1))
                layer.set_weights([kernel, recurrent])
                print(f"{layer(np.ones((1, 3, 1)))[0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="n = tanh(W_n x + r (U_n h)), and nothing else is offered",
            source="torch/nn/modules/rnn.py: GRU, W_hn",
            code="""
                kernel, recurrent = torch.arange(6.0).sin().reshape(1, 6), torch.arange(12.0).cos().reshape(2, 6)
                reset_first = [2, 3, 0, 1, 4, 5]
                layer = torch.nn.GRU(1, 2, bias=False, batch_first=True)
                layer.weight_ih_l0.data = kernel.T[reset_first]
                layer.weight_hh_l0.data = recurrent.T[reset_first]
                print(f"{float(layer(torch.ones(1, 3, 1))[0][0, -1, 0]):.4f}")
            """,
            prints="-0.3161",
            align="""
                kernel, recurrent = torch.arange(6.0).sin().reshape(1, 6), torch.arange(12.0).cos().reshape(2, 6)
                h = torch.zeros(1, 2)
                for x in torch.ones(3, 1, 1):
                    for_update, for_reset, for_candidate = (x @ kernel).chunk(3, dim=1)
                    u_update, u_reset, u_candidate = recurrent.chunk(3, dim=1)
                    update = torch.sigmoid(for_update + h @ u_update)
                    reset = torch.sigmoid(for_reset + h @ u_reset)
                    candidate = torch.tanh(for_candidate + (reset * h) @ u_candidate)
                    h = update * h + (1 - update) * candidate
                print(f"{float(h[0, 0]):.4f}")
            """,
        ),
    ),
    Difference(
        id="hard_sigmoid_gates",
        title="A Keras LSTM or GRU may have hard sigmoid gates; torch's has sigmoid gates only",
        kind="authoring trap",
        does='recurrent_activation="hard_sigmoid" was the default of old Keras and is in its models; the weights fit '
        "either way.",
        keras=side(
            formula="gate = recurrent_activation(z), here min(max(z / 6 + 1 / 2, 0), 1)",
            source="keras/src/layers/rnn/lstm.py: LSTMCell, recurrent_activation",
            code="""
                layer = keras.layers.LSTM(1, "tanh", "hard_sigmoid", False, "ones", "ones")
                print(f"{layer(np.ones((1, 3, 1)))[0, 0]:.4f}")
            """,
            prints="0.6764",
            align="""
                layer = keras.layers.LSTM(1, "tanh", "sigmoid", False, "ones", "ones")
                print(f"{layer(np.ones((1, 3, 1)))[0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="gate = 1 / (1 + exp(-z))",
            source="torch/nn/modules/rnn.py: LSTM",
            code="""
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(f"{float(layer(torch.ones(1, 3, 1))[0][0, -1, 0]):.4f}")
            """,
            prints="0.7888",
            align="""
                kernel, recurrent = torch.ones(1, 4), torch.ones(1, 4)
                gate = torch.nn.functional.hardsigmoid
                h = c = torch.zeros(1, 1)
                for x in torch.ones(3, 1, 1):
                    into, forget, candidate, out = (x @ kernel + h @ recurrent).chunk(4, dim=1)
                    c = gate(forget) * c + gate(into) * torch.tanh(candidate)
                    h = gate(out) * torch.tanh(c)
                print(f"{float(h[0, 0]):.4f}")
            """,
        ),
    ),
    Difference(
        id="hard_sigmoid_before_keras_3",
        title="The hard sigmoid's slope was 1/5 before Keras 3; in torch, and in Keras since, it is 1/6",
        kind="authoring trap",
        does="A model of old Keras that is loaded by today's, or ported by name, computes something else.",
        versions="Keras 1 and 2, of which TensorFlow 2.21 holds a copy, torch 2.15",
        keras=side(
            formula="min(max(0.2 x + 0.5, 0), 1)",
            source="tensorflow/python/keras/backend.py: hard_sigmoid",
            code="""
                from tensorflow.python.keras import backend

                print(f"{backend.hard_sigmoid(tf.constant([1.0]))[0]:.4f}")
            """,
            prints="0.7000",
            align="""
                print(f"{keras.activations.hard_sigmoid(tf.constant([1.0]))[0]:.4f}")
            """,
        ),
        torch=side(
            formula="min(max(x / 6 + 1 / 2, 0), 1)",
            source="torch/nn/modules/activation.py: Hardsigmoid",
            code="""
                print(f"{torch.nn.Hardsigmoid()(torch.ones(1))[0]:.4f}")
            """,
            prints="0.6667",
            align="""
                print(f"{torch.clamp(0.2 * torch.ones(1) + 0.5, 0, 1)[0]:.4f}")
            """,
        ),
    ),
)
