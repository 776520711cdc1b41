"""mnist_relu's matrix products alone, forward and back: python products.py keras|torch STEPS; prints seconds a step."""

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

WIDTHS, BATCH = (784, 256, 256, 10), 100
side, steps = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
pairs = list(pairwise(WIDTHS))
arrays = [[rng.normal(size=shape).astype(np.float32) for shape in ((BATCH, a), (a, b), (BATCH, b))] for a, b in pairs]


def products() -> Callable[[], Any]:
    """What makes them `steps` times: one after the other in torch, in a compiled loop in TensorFlow."""
    if side == "torch":
        import torch

        torch.set_num_threads(1)
        given = [[torch.from_numpy(array) for array in layer] for layer in arrays]

        def step() -> Any:
            return [(x @ w, x.T @ d, d @ w.T if number else None) for number, (x, w, d) in enumerate(given)]

        return lambda: [step() for _ in range(steps)]
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    kept = [[tf.Variable(array) for array in layer] for layer in arrays]

    @tf.function
    def run() -> Any:
        total = tf.constant(0.0)
        for _ in tf.range(steps):
            for number, (x, w, d) in enumerate(kept):
                total += tf.matmul(x, w)[0, 0] + tf.matmul(x, d, transpose_a=True)[0, 0]
                if number:
                    total += tf.matmul(d, w, transpose_b=True)[0, 0]
            # Without a change, the products would be taken out of the loop.
            kept[0][0].assign_add(tf.fill([BATCH, WIDTHS[0]], 1e-9))
            kept[1][0].assign_add(tf.fill([BATCH, WIDTHS[1]], 1e-9))
            kept[2][0].assign_add(tf.fill([BATCH, WIDTHS[2]], 1e-9))
        return total

    return run


run = products()
run()
began = time.perf_counter()
run()
print((time.perf_counter() - began) / steps)
