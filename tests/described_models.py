"""Described models for tests, layer by layer, without a framework: shapes and settings as the frameworks have them."""

from typing import Any

import numpy as np

from parity.models.described import Layer, Model, Weight


def layer(path: str, kind: str, weights: dict[str, tuple[int, ...]], **settings: Any) -> Layer:
    """A layer with weights of these roles and shapes; statistics are not trained."""
    joined = "/" if settings.pop("keras", True) else "."
    reads, writes = settings.pop("reads", ()), settings.pop("writes", (f"{path}.out",))
    found = tuple(
        Weight(f"{path}{joined}{role}", role, shape, "float64", not ("moving" in role or "running" in role))
        for role, shape in weights.items()
    )
    return Layer(path, kind, settings, found, None, reads, writes)


def keras_dense(path: str, i: int, o: int, **settings: Any) -> Layer:
    return layer(path, "Dense", {"kernel": (i, o), "bias": (o,)}, **{"activation": "linear", **settings})


def linear(path: str, i: int, o: int, **settings: Any) -> Layer:
    return layer(path, "Linear", {"weight": (o, i), "bias": (o,)}, keras=False, **settings)


def keras_conv(path: str, i: int, o: int, k: int = 3, **settings: Any) -> Layer:
    return layer(
        path,
        "Conv2D",
        {"kernel": (k, k, i, o), "bias": (o,)},
        **{"activation": "linear", "kernel_size": [k, k], **settings},
    )


def conv(path: str, i: int, o: int, k: int = 3, groups: int = 1, **settings: Any) -> Layer:
    shapes = {"weight": (o, i // groups, k, k), "bias": (o,)}
    return layer(
        path, "Conv2d", shapes, keras=False, groups=groups, in_channels=i, **{"kernel_size": [k, k], **settings}
    )


def keras_batch_norm(path: str, c: int, **settings: Any) -> Layer:
    shapes = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (c,))
    return layer(path, "BatchNormalization", shapes, **{"epsilon": 1e-3, "momentum": 0.99, **settings})


def batch_norm(path: str, c: int, **settings: Any) -> Layer:
    shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (c,))
    return layer(path, "BatchNorm2d", shapes, keras=False, **{"eps": 1e-5, "momentum": 0.1, **settings})


def plain(path: str, kind: str, **settings: Any) -> Layer:
    """A layer without weights."""
    return layer(path, kind, {}, **settings)


def keras(*layers: Layer) -> Model:
    return Model("keras", layers)


def torch(*layers: Layer) -> Model:
    return Model("torch", layers)


def values(model: Model, seed: int = 0) -> dict[str, np.ndarray]:
    """Generic numbers for all weights of a model."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=weight.shape) for name, weight in model.weights().items()}


def chain(*layers: Layer) -> tuple[Layer, ...]:
    """The layers, each of which reads what the one before gives."""
    return tuple(
        Layer(
            one.path,
            one.kind,
            one.settings,
            one.weights,
            None,
            (f"{layers[n - 1].path}.out" if n else "x",),
            one.writes,
        )
        for n, one in enumerate(layers)
    )
