"""xor_tanh with a compiled step that is called from Python: python xor_keras.py STEPS"""

import sys

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

import keras  # noqa: E402

keras.utils.set_random_seed(0)
x, y = tf.constant([[0.0, 0], [0, 1], [1, 0], [1, 1]]), tf.constant([[0.0], [1], [1], [0]])
normal = keras.initializers.RandomNormal(stddev=1.0)
drawn = {"kernel_initializer": normal, "bias_initializer": normal}
hidden = [keras.layers.Dense(5, "tanh", **drawn) for _ in range(9)]
model = keras.Sequential([keras.layers.Input((2,)), *hidden, keras.layers.Dense(1, "sigmoid", **drawn)])
optimizer = keras.optimizers.SGD(0.01)


@tf.function
def step() -> tf.Tensor:
    with tf.GradientTape() as tape:
        h = model(x, training=True)
        cost = -tf.reduce_mean(y * tf.math.log(h) + (1 - y) * tf.math.log(1 - h))
    optimizer.apply(tape.gradient(cost, model.trainable_variables), model.trainable_variables)
    return cost


for _ in range(int(sys.argv[1])):
    cost = step()
print(float(cost))
