"""Differences in masks and padding of sequences."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="mask_zero_last_step",
        title="After mask_zero a Keras layer ends at the last real step; torch goes on over the padding",
        kind="authoring trap",
        does="Short sequences come out wrong, the more so the more zeros follow them.",
        keras=side(
            formula="h_t = h_(t-1) where token t is 0",
            source="keras/src/backend/tensorflow/rnn.py: rnn, mask",
            code="""
                tokens = np.array([[1, 2, 0, 0]])
                embedding = keras.layers.Embedding(3, 1, mask_zero=True)
                embedding.build(tokens.shape)
                embedding.set_weights([np.array([[-1.0], [1.0], [2.0]])])
                layer = keras.layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones")
                print(f"{layer(embedding(tokens))[0, 0]:.4f}")
            """,
            prints="0.8112",
            align="""
                tokens = np.array([[1, 2, 0, 0]])
                embedding = keras.layers.Embedding(3, 1, mask_zero=False)
                embedding.build(tokens.shape)
                embedding.set_weights([np.array([[-1.0], [1.0], [2.0]])])
                layer = keras.layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones")
                print(f"{layer(embedding(tokens))[0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="h_t from x_t at every step; out[:, -1] is after the padding",
            source="torch/nn/utils/rnn.py: pack_padded_sequence, enforce_sorted",
            code="""
                tokens = torch.tensor([[1, 2, 0, 0]])
                embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[-1.0], [1.0], [2.0]]))
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(f"{float(layer(embedding(tokens))[0][0, -1, 0]):.4f}")
            """,
            prints="-0.0095",
            align="""
                tokens = torch.tensor([[1, 2, 0, 0]])
                embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[-1.0], [1.0], [2.0]]))
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                packed = torch.nn.utils.rnn.pack_padded_sequence(
                    embedding(tokens), (tokens != 0).sum(dim=1), batch_first=True, enforce_sorted=False
                )
                _, (h_n, _) = layer(packed)
                print(f"{float(h_n[-1, 0, 0]):.4f}")
            """,
        ),
    ),
    Difference(
        id="mask_zero_first_step",
        title="With zeros in front, as pad_sequences puts them, Keras starts at the first word, torch at the zeros",
        kind="authoring trap",
        does="The state has moved when the first word arrives. Packing does not help by itself, since it cuts padding "
        "at the end only.",
        keras=side(
            formula="h_t = 0 until the first token that is not 0",
            source="keras/src/layers/core/embedding.py: Embedding, mask_zero, compute_mask",
            code="""
                tokens = keras.utils.pad_sequences([[1, 2]], maxlen=4)
                embedding = keras.layers.Embedding(3, 1, mask_zero=True)
                embedding.build(tokens.shape)
                embedding.set_weights([np.array([[-1.0], [1.0], [2.0]])])
                layer = keras.layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones")
                print(f"{layer(embedding(tokens))[0, 0]:.4f}")
            """,
            prints="0.8112",
            align="""
                tokens = keras.utils.pad_sequences([[1, 2]], maxlen=4)
                embedding = keras.layers.Embedding(3, 1)
                embedding.build(tokens.shape)
                embedding.set_weights([np.array([[-1.0], [1.0], [2.0]])])
                layer = keras.layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones")
                print(f"{layer(embedding(tokens))[0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="h_1 from x_1, padding or not",
            source="torch/nn/utils/rnn.py: pack_sequence",
            code="""
                tokens = torch.tensor([[0, 0, 1, 2]])
                embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[-1.0], [1.0], [2.0]]))
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(f"{float(layer(embedding(tokens))[0][0, -1, 0]):.4f}")
            """,
            prints="0.7513",
            align="""
                tokens = torch.tensor([[0, 0, 1, 2]])
                embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[-1.0], [1.0], [2.0]]))
                layer = torch.nn.LSTM(1, 1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                words = [embedding(row[row != 0]) for row in tokens]
                _, (h_n, _) = layer(torch.nn.utils.rnn.pack_sequence(words, enforce_sorted=False))
                print(f"{float(h_n[-1, 0, 0]):.4f}")
            """,
        ),
    ),
    Difference(
        id="masked_mean",
        title="A mean over the steps after mask_zero: of the real ones in Keras, of all of them in torch",
        kind="authoring trap",
        does="The mask goes along with the sequence up to GlobalAveragePooling1D, unseen in the code; mean(dim=1) has "
        "none. The shorter a sequence is, the further it is off.",
        keras=side(
            formula="sum of x_t over real t / number of real t",
            source="keras/src/layers/pooling/global_average_pooling1d.py: GlobalAveragePooling1D, mask",
            code="""
                tokens = np.array([[1, 2, 0, 0]])
                embedding = keras.layers.Embedding(3, 1, mask_zero=True)
                embedding.build(tokens.shape)
                embedding.set_weights([np.array([[5.0], [1.0], [2.0]])])
                print(float(keras.layers.GlobalAveragePooling1D()(embedding(tokens))[0, 0]))
            """,
            prints="1.5",
            align="""
                tokens = np.array([[1, 2, 0, 0]])
                embedding = keras.layers.Embedding(3, 1)
                embedding.build(tokens.shape)
                embedding.set_weights([np.array([[5.0], [1.0], [2.0]])])
                print(float(keras.layers.GlobalAveragePooling1D()(embedding(tokens))[0, 0]))
            """,
        ),
        torch=side(
            formula="sum of x_t over all t / number of steps",
            source="torch/nn/modules/sparse.py: Embedding, padding_idx",
            code="""
                tokens = torch.tensor([[1, 2, 0, 0]])
                embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[5.0], [1.0], [2.0]]))
                print(float(embedding(tokens).mean(dim=1)[0, 0]))
            """,
            prints="3.25",
            align="""
                tokens = torch.tensor([[1, 2, 0, 0]])
                embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[5.0], [1.0], [2.0]]))
                real = (tokens != 0)[:, :, None]
                print(float(((embedding(tokens) * real).sum(dim=1) / real.sum(dim=1))[0, 0]))
            """,
        ),
    ),
    Difference(
        id="embedding_padding_row",
        title="The row of padding: an ordinary one in Keras, with mask_zero too; zeros that never learn in torch",
        kind="authoring trap",
        does="Where nothing masks the padding, as in a mean over words, it is trained in Keras and stays put in torch "
        "with padding_idx.",
        keras=side(
            formula="row 0 has a gradient",
            source="keras/src/layers/core/embedding.py: Embedding, mask_zero",
            code="""
                layer = keras.layers.Embedding(2, 1, "ones", mask_zero=True)
                layer.build((1,))
                with tf.GradientTape() as tape:
                    cost = tf.reduce_sum(layer(np.array([0])))
                weights = layer.trainable_weights
                keras.optimizers.SGD(0.1).apply(tape.gradient(cost, weights), weights)
                print(f"{weights[0].numpy()[0, 0]:.1f}")
            """,
            prints="0.9",
            align="""
                tokens = np.array([0])
                layer = keras.layers.Embedding(2, 1, "ones", mask_zero=True)
                layer.build((1,))
                with tf.GradientTape() as tape:
                    cost = tf.reduce_sum(layer(tokens) * (tokens != 0)[:, None])
                weights = layer.trainable_weights
                keras.optimizers.SGD(0.1).apply(tape.gradient(cost, weights), weights)
                print(f"{weights[0].numpy()[0, 0]:.1f}")
            """,
        ),
        torch=side(
            formula="row padding_idx starts at zero and has no gradient",
            source="torch/nn/modules/sparse.py: Embedding, padding_idx",
            code="""
                layer = torch.nn.Embedding(2, 1, padding_idx=0)
                layer.weight.data.fill_(1.0)
                layer(torch.tensor([0])).sum().backward()
                torch.optim.SGD(layer.parameters(), lr=0.1).step()
                print(f"{float(layer.weight[0, 0]):.1f}")
            """,
            prints="1.0",
            align="""
                layer = torch.nn.Embedding(2, 1)
                layer.weight.data.fill_(1.0)
                layer(torch.tensor([0])).sum().backward()
                torch.optim.SGD(layer.parameters(), lr=0.1).step()
                print(f"{float(layer.weight[0, 0]):.1f}")
            """,
        ),
    ),
)
