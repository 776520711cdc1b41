"""Differences in the clipping of gradients."""

from parity.differences.entry import Difference, Effect, side

ENTRIES = (
    Difference(
        id="gradient_clipping",
        title="clipnorm in Keras is of each weight; torch's clip_grad_norm_ is of all together",
        kind="authoring trap",
        does="Small gradients of other layers are left alone in Keras, and shrunk with the large ones in torch.",
        keras=side(
            formula="g_i min(1, c / |g_i|) for each weight i",
            source="keras/src/optimizers/base_optimizer.py: _clip_gradients, _clip_by_norm",
            code="""
                gradients = [tf.constant([3.0, 4.0]), tf.constant([0.3, 0.4])]
                clipped = keras.optimizers.SGD(clipnorm=1.0)._clip_gradients(gradients)
                print(*(f"{value:.3f}" for gradient in clipped for value in gradient))
            """,
            prints="0.600 0.800 0.300 0.400",
            align="""
                gradients = [tf.constant([3.0, 4.0]), tf.constant([0.3, 0.4])]
                clipped = keras.optimizers.SGD(global_clipnorm=1.0)._clip_gradients(gradients)
                print(*(f"{value:.3f}" for gradient in clipped for value in gradient))
            """,
        ),
        torch=side(
            formula="g_i min(1, c / (norm of all + 1e-6))",
            source="torch/nn/utils/clip_grad.py: clip_grad_norm_",
            code="""
                weights = [torch.zeros(2), torch.zeros(2)]
                weights[0].grad, weights[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                print(*(f"{value:.3f}" for weight in weights for value in weight.grad))
            """,
            prints="0.597 0.796 0.060 0.080",
            align="""
                weights = [torch.zeros(2), torch.zeros(2)]
                weights[0].grad, weights[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
                for weight in weights:
                    torch.nn.utils.clip_grad_norm_([weight], 1.0)
                print(*(f"{value:.3f}" for weight in weights for value in weight.grad))
            """,
        ),
    ),
    Difference(
        id="clip_norm_epsilon",
        title="torch adds 1e-6 to the norm that it clips gradients by, Keras nothing",
        kind="choice",
        does="A clipped gradient is smaller in torch, by a millionth of itself at a norm of 1, by half at one of 1e-6.",
        keras=side(
            formula="g c / max(|g|, c)",
            source="keras/src/optimizers/base_optimizer.py: clip_by_global_norm, global_norm",
            code="""
                gradients = [tf.constant([3e-6, 4e-6])]
                (clipped,) = keras.optimizers.SGD(global_clipnorm=1e-6)._clip_gradients(gradients)
                print(*(f"{value:.2e}" for value in clipped))
            """,
            prints="6.00e-07 8.00e-07",
            align="""
                gradients = [tf.constant([3e-6, 4e-6])]
                norm = tf.linalg.global_norm(gradients)
                clipped = gradients[0] * tf.minimum(1e-6 / (norm + 1e-6), 1.0)
                print(*(f"{value:.2e}" for value in clipped))
            """,
        ),
        torch=side(
            formula="g min(1, c / (|g| + 1e-6))",
            source="torch/nn/utils/clip_grad.py: clip_grads_with_norm_",
            code="""
                w = torch.zeros(2)
                w.grad = torch.tensor([3e-6, 4e-6])
                torch.nn.utils.clip_grad_norm_([w], 1e-6)
                print(*(f"{value:.2e}" for value in w.grad))
            """,
            prints="5.00e-07 6.67e-07",
            align="""
                w = torch.zeros(2)
                w.grad = torch.tensor([3e-6, 4e-6])
                norm = torch.nn.utils.get_total_norm([w.grad])
                torch.nn.utils.clip_grads_with_norm_([w], 1e-6, norm - 1e-6)
                print(*(f"{value:.2e}" for value in w.grad))
            """,
        ),
        effect=Effect("clip_epsilon", "mnist_softmax --clip global_norm:0.1", "clipping"),
    ),
)
