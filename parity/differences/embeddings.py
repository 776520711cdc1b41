"""Differences of embeddings, and of what optimizers make of their gradients."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="repeated_rows",
        title="Keras's optimizers square each use of an embedding's row by itself; torch squares their sum",
        kind="authoring trap",
        does="A word that occurs n times in a batch moves up to sqrt(n) times as far in Keras with Adam, AdamW, Nadam, "
        "Adagrad, Adadelta and RMSprop, in fit too; as far with SGD and Adamax. Here gradients are summed first.",
        keras=side(
            formula="v = beta_2 v + (1 - beta_2) sum of g_i^2, over the uses i of a row",
            source="keras/src/backend/tensorflow/sparse.py: elementwise_unary, IndexedSlices",
            code="""
                table = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
                with tf.GradientTape() as tape:
                    cost = tf.reduce_sum(table(np.array([0, 0, 1])))
                gradients = tape.gradient(cost, table.trainable_variables)
                keras.optimizers.Adam(0.1).apply(gradients, table.trainable_variables)
                print(*(f"{row:.3f}" for row in table.embeddings.numpy()[:, 0]))
            """,
            prints="-0.141 -0.100",
            align="""
                table = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
                with tf.GradientTape() as tape:
                    cost = tf.reduce_sum(table(np.array([0, 0, 1])))
                # As an ordinary tensor, in which the uses of a row are added up.
                gradients = [tf.convert_to_tensor(g) for g in tape.gradient(cost, table.trainable_variables)]
                keras.optimizers.Adam(0.1).apply(gradients, table.trainable_variables)
                print(*(f"{row:.3f}" for row in table.embeddings.numpy()[:, 0]))
            """,
        ),
        torch=side(
            formula="v = beta_2 v + (1 - beta_2) (sum of g_i)^2",
            source="torch/optim/_functional.py: sparse_adam, coalesce",
            code="""
                table = torch.nn.Embedding.from_pretrained(torch.zeros(2, 1), freeze=False)
                table(torch.tensor([0, 0, 1])).sum().backward()
                torch.optim.Adam(table.parameters(), lr=0.1).step()
                print(*(f"{row:.3f}" for row in table.weight.detach().numpy()[:, 0]))
            """,
            prints="-0.100 -0.100",
            align="""
                tokens, g = torch.tensor([0, 0, 1]), torch.ones(3)
                # The first step of Adam, which corrects both moments to what they were given.
                m, v = (torch.zeros(2).index_add(0, tokens, values) for values in (g, g**2))
                print(*(f"{row:.3f}" for row in -0.1 * m / (torch.sqrt(v) + 1e-8)))
            """,
        ),
    ),
    Difference(
        id="sparse_gradients",
        title="Keras's Adam moves every row of an embedding; torch's SparseAdam only those that the batch named",
        kind="authoring trap",
        does="In Keras, and with torch.optim.Adam, a row goes on moving by its momentum while no batch names it, and "
        "its moments decay. Keras has no SparseAdam; here one is written (tf_impl/optimizers.py).",
        keras=side(
            formula="m, v and w of all rows, with g = 0 where a row was not named",
            source="keras/src/optimizers/adam.py: update_step, subtract",
            code="""
                table = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
                adam = keras.optimizers.Adam(0.1)
                for token in (0, 1):
                    with tf.GradientTape() as tape:
                        cost = tf.reduce_sum(table(np.array([token])))
                    adam.apply(tape.gradient(cost, table.trainable_variables), table.trainable_variables)
                print(f"{table.embeddings[0, 0]:.3f}")
            """,
            prints="-0.167",
            align="""
                table = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
                adam = keras.optimizers.Adam(0.1)
                for token in (0, 1):
                    with tf.GradientTape() as tape:
                        cost = tf.reduce_sum(table(np.array([token])))
                    gradients = tape.gradient(cost, table.trainable_variables)
                    if not adam.built:
                        adam.build(table.trainable_variables)
                    # Put back what belongs to the other rows.
                    tensors = [table.embeddings, *adam._momentums, *adam._velocities]
                    kept = [tensor.numpy() for tensor in tensors]
                    adam.apply(gradients, table.trainable_variables)
                    for tensor, before in zip(tensors, kept):
                        tensor.assign(np.where(np.arange(2)[:, None] == token, tensor, before))
                print(f"{table.embeddings[0, 0]:.3f}")
            """,
        ),
        torch=side(
            formula="m, v and w of the rows that were named; it refuses a dense gradient",
            source="torch/optim/_functional.py: sparse_adam, sparse_mask",
            code="""
                table = torch.nn.Embedding.from_pretrained(torch.zeros(2, 1), freeze=False, sparse=True)
                adam = torch.optim.SparseAdam(list(table.parameters()), lr=0.1)
                for token in (0, 1):
                    adam.zero_grad()
                    table(torch.tensor([token])).sum().backward()
                    adam.step()
                print(f"{table.weight[0, 0]:.3f}")
            """,
            prints="-0.100",
            align="""
                table = torch.nn.Embedding.from_pretrained(torch.zeros(2, 1), freeze=False)
                adam = torch.optim.Adam(table.parameters(), lr=0.1)
                for token in (0, 1):
                    adam.zero_grad()
                    table(torch.tensor([token])).sum().backward()
                    adam.step()
                print(f"{table.weight[0, 0]:.3f}")
            """,
        ),
    ),
    Difference(
        id="embedding_default_init",
        title="An embedding starts uniform within 0.05 in Keras, and from N(0, 1) in torch",
        kind="data and start",
        does="The first outputs are some 35 times as large in torch.",
        keras=side(
            formula="table ~ U(-0.05, 0.05)",
            source="keras/src/layers/core/embedding.py: Embedding, embeddings_initializer",
            code="""
                table = keras.layers.Embedding(10_000, 100)
                table.build()
                print(f"{np.std(table.embeddings):.2f}")
            """,
            prints="0.03",
            align="""
                start = keras.initializers.RandomNormal(0, 1)
                table = keras.layers.Embedding(10_000, 100, embeddings_initializer=start)
                table.build()
                print(f"{np.std(table.embeddings):.2f}")
            """,
        ),
        torch=side(
            formula="table ~ N(0, 1)",
            source="torch/nn/modules/sparse.py: Embedding, reset_parameters",
            code="""
                table = torch.nn.Embedding(10_000, 100)
                print(f"{table.weight.std():.2f}")
            """,
            prints="1.00",
            align="""
                table = torch.nn.Embedding(10_000, 100)
                torch.nn.init.uniform_(table.weight, -0.05, 0.05)
                print(f"{table.weight.std():.2f}")
            """,
        ),
    ),
)
