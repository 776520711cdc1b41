"""One training step of an MLP in plain NumPy float64, written from the formulas and nothing of the project's.

It anchors both frameworks: a mistake that both sides share would pass every comparison of one with the other.
"""

import numpy as np


def forward(x, kernels, biases, hidden):
    """Pre-activations and activations of each layer; x [batch, inputs]."""
    pre, post = [], [x]
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        pre.append(post[-1] @ kernel + bias)
        post.append(hidden(pre[-1]) if i < len(kernels) - 1 else pre[-1])
    return pre, post


def softmax_cross_entropy(logits, labels):
    """Mean over the batch of log sum exp(z) - z[label], and its gradient (softmax - one hot) / batch."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1)
    rows = np.arange(len(labels))
    cost = np.mean(np.log(sums) - shifted[rows, labels])
    gradient = exponentials / sums[:, None]
    gradient[rows, labels] -= 1
    return cost, gradient / len(labels)


def naive_cross_entropy(z, labels):
    """Mean of -(y log h + (1 - y) log(1 - h)) with h = sigmoid(z), and its gradient by z, (h - y) / batch."""
    h, y = 1 / (1 + np.exp(-z)), labels[:, None]
    return np.mean(-(y * np.log(h) + (1 - y) * np.log(1 - h))), (h - y) / len(labels)


def backward(delta, pre, post, kernels, slope):
    """Gradients of kernels and biases, from the gradient by the last pre-activation."""
    kernel_gradients, bias_gradients = [], []
    for i in reversed(range(len(kernels))):
        kernel_gradients.insert(0, post[i].T @ delta)
        bias_gradients.insert(0, delta.sum(axis=0))
        if i:
            delta = (delta @ kernels[i].T) * slope(pre[i - 1])
    return kernel_gradients, bias_gradients


def first_adam_step(weight, gradient, lr, beta_1, beta_2, epsilon, epsilon_after_correction):
    """The weight after Adam's first step from zero moments (Kingma and Ba, algorithm 1 and the end of section 2)."""
    m, v = (1 - beta_1) * gradient, (1 - beta_2) * gradient**2
    if epsilon_after_correction:
        return weight - lr * (m / (1 - beta_1)) / (np.sqrt(v / (1 - beta_2)) + epsilon)
    return weight - lr * np.sqrt(1 - beta_2) / (1 - beta_1) * m / (np.sqrt(v) + epsilon)


def contrastive_divergence(v0, kernel, bias, visible_bias, uniforms, rate):
    """One step of CD-1 on Bernoulli units (Hinton 2002): what is computed on the way, and the new weights."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    p0 = sigmoid(v0 @ kernel + bias)
    h0 = (uniforms < p0).astype(v0.dtype)
    v1 = sigmoid(h0 @ kernel.T + visible_bias)
    p1 = sigmoid(v1 @ kernel + bias)
    return {
        "positive/hidden": p0,
        "positive/samples": h0,
        "negative/visible": v1,
        "negative/hidden": p1,
        "cost": np.mean((v1 - v0) ** 2),
        "kernel": kernel + rate * (v0.T @ p0 - v1.T @ p1) / len(v0),
        "bias": bias + rate * (p0 - p1).mean(axis=0),
        "visible_bias": visible_bias + rate * (v0 - v1).mean(axis=0),
    }
