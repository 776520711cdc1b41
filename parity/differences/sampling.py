"""Differences in what is drawn while training runs."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="rbm_sampling",
        title="An RBM's samples: each framework draws its own uniforms, and neither has an RBM",
        kind="data and start",
        does="Half of the samples differ, and with them every step of contrastive divergence. With uniforms that both "
        "are given, and h = (u < p), they are the same but where p is rounded across u: in the pre-training of "
        "mnist_rbm the first of its 20 million samples to flip in float32 did so after 7 million, at step 279, and the "
        "reconstruction errors had agreed to six digits until then.",
        keras=side(
            formula="h = (u < p), with u from keras.random",
            source="keras/src/random/random.py: uniform, seed",
            code="""
                p = np.full(8, 0.5, np.float32)
                print(*(np.array(keras.random.uniform(p.shape, seed=0)) < p).astype(int))
            """,
            prints="1 0 0 0 1 0 0 1",
            align="""
                p = np.full(8, 0.5, np.float32)
                torch_drew = tf.constant([0.267, 0.873, 0.335, 0.403, 0.787, 0.458, 0.072, 0.972])
                print(*(torch_drew < p).numpy().astype(int))
            """,
        ),
        torch=side(
            formula="h = (u < p), with u from torch's generator",
            source="torch/_tensor_docs.py: uniform_, generator",
            code="""
                p = np.full(8, 0.5, np.float32)
                u = torch.empty(8).uniform_(generator=torch.Generator())
                print(*(u < torch.from_numpy(p)).int().tolist())
            """,
            prints="1 0 1 1 0 1 1 0",
            align="""
                p = np.full(8, 0.5, np.float32)
                keras_drew = torch.tensor([0.211, 0.706, 0.800, 0.771, 0.389, 0.870, 0.808, 0.197])
                print(*(keras_drew < torch.from_numpy(p)).int().tolist())
            """,
        ),
        document="docs/verdict.md",
    ),
)
