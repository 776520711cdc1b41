"""Differences in what the cost of a distribution is given: probabilities or their logarithms, and along which axis."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="kl_divergence_arguments",
        title="KL divergence takes the target and two probabilities in Keras, log(prediction) and the target in torch",
        kind="authoring trap",
        does="Probabilities in place of logarithms give a number, with another gradient, and no error.",
        keras=side(
            formula="KLDivergence()(p, q) = sum(p log(p / q))",
            source="keras/src/losses/losses.py: KLDivergence, y_true, y_pred",
            code="""
                p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
                print(f"{keras.losses.KLDivergence()(p, q):.4f}")
            """,
            prints="0.1438",
            align="""
                p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
                print(f"{tf.reduce_mean(tf.reduce_sum(p * (tf.math.log(p) - q), axis=1)):.4f}")
            """,
        ),
        torch=side(
            formula="KLDivLoss()(x, p) = sum(p (log(p) - x))",
            source="torch/nn/modules/loss.py: KLDivLoss, log_target",
            code="""
                p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
                print(f"{torch.nn.KLDivLoss(reduction='batchmean')(q, p):.4f}")
            """,
            prints="-1.1931",
            align="""
                p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
                print(f"{torch.nn.KLDivLoss(reduction='batchmean')(q.log(), p):.4f}")
            """,
        ),
    ),
    Difference(
        id="nll_of_probabilities",
        title="torch's NLLLoss takes logarithms of probabilities; Keras's cross-entropy takes the logarithm itself",
        kind="authoring trap",
        does="After a softmax, NLLLoss gives a negative cost that never falls below -1, and hardly learns.",
        keras=side(
            formula="-log p_y",
            source="keras/src/losses/losses.py: SparseCategoricalCrossentropy, from_logits",
            code="""
                p = np.array([[0.5, 0.25, 0.25]])
                print(f"{keras.losses.SparseCategoricalCrossentropy()(np.array([0]), p):.4f}")
            """,
            prints="0.6931",
            align="""
                p = np.array([[0.5, 0.25, 0.25]])
                print(f"{-tf.reduce_mean(tf.gather(p, [0], axis=1, batch_dims=1)):.4f}")
            """,
        ),
        torch=side(
            formula="-x_y of whatever it is given",
            source="torch/nn/modules/loss.py: NLLLoss",
            code="""
                p = torch.tensor([[0.5, 0.25, 0.25]])
                print(f"{torch.nn.NLLLoss()(p, torch.tensor([0])):.4f}")
            """,
            prints="-0.5000",
            align="""
                p = torch.tensor([[0.5, 0.25, 0.25]])
                print(f"{torch.nn.NLLLoss()(p.log(), torch.tensor([0])):.4f}")
            """,
        ),
    ),
    Difference(
        id="softmax_axis",
        title="A softmax without an axis: over the last one in Keras; in torch over the batch, if there are three",
        kind="authoring trap",
        does="In torch a sample's probabilities do not add up to 1 and depend on the other samples. It warns once.",
        keras=side(
            formula="axis=-1",
            source="keras/src/layers/activations/softmax.py: Softmax, axis",
            code="""
                print(*(f"{y:.4f}" for y in keras.layers.Softmax()(np.array([[[0.0, 1.0]], [[2.0, 4.0]]]))[0, 0]))
            """,
            prints="0.2689 0.7311",
            align="""
                x = np.array([[[0.0, 1.0]], [[2.0, 4.0]]])
                print(*(f"{y:.4f}" for y in keras.layers.Softmax(axis=0)(x)[0, 0]))
            """,
        ),
        torch=side(
            formula="dim = 0 for 0, 1 or 3 axes, else 1",
            source="torch/nn/functional.py: _get_softmax_dim, softmax",
            code="""
                print(*(f"{y:.4f}" for y in torch.nn.Softmax()(torch.tensor([[[0.0, 1.0]], [[2.0, 4.0]]]))[0, 0]))
            """,
            prints="0.1192 0.0474",
            align="""
                x = torch.tensor([[[0.0, 1.0]], [[2.0, 4.0]]])
                print(*(f"{y:.4f}" for y in torch.nn.Softmax(dim=-1)(x)[0, 0]))
            """,
        ),
    ),
    Difference(
        id="class_axis",
        title="Cross-entropy's classes are the last axis in Keras and the second in torch",
        kind="authoring trap",
        does="Outputs (batch, steps, classes) raise an error in torch, unless there are as many steps as classes.",
        keras=side(
            formula="softmax over axis -1",
            source="keras/src/losses/losses.py: SparseCategoricalCrossentropy, axis",
            code="""
                z, y = np.array([[[0.0, 1.0], [2.0, 4.0]]]), np.array([[0, 1]])
                print(f"{keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, z):.4f}")
            """,
            prints="0.7201",
            align="""
                z, y = np.array([[[0.0, 1.0], [2.0, 4.0]]]), np.array([[0, 1]])
                print(f"{keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, z.swapaxes(1, 2)):.4f}")
            """,
        ),
        torch=side(
            formula="softmax over axis 1",
            source="torch/nn/modules/loss.py: CrossEntropyLoss",
            code="""
                z, y = torch.tensor([[[0.0, 1.0], [2.0, 4.0]]]), torch.tensor([[0, 1]])
                print(f"{torch.nn.CrossEntropyLoss()(z, y):.4f}")
            """,
            prints="1.0878",
            align="""
                z, y = torch.tensor([[[0.0, 1.0], [2.0, 4.0]]]), torch.tensor([[0, 1]])
                print(f"{torch.nn.CrossEntropyLoss()(z.transpose(1, 2), y):.4f}")
            """,
        ),
    ),
)
