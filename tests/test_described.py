"""The description of a model survives JSON, and nothing else is taken for one."""

import math

import pytest
from pydantic import ValidationError

from parity.models.described import Layer, Model, Weight, from_json

DENSE = Layer(
    "head",
    "Dense",
    {"units": 2, "activation": "relu", "limit": math.inf, "nested": {"axes": [1, 2], "none": None}},
    (Weight("head/kernel", "kernel", (3, 2), "float32", True), Weight("head/bias", "bias", (2,), "float32", False)),
    "nets.py:41",
    ("t0",),
    ("t1",),
)


def test_json_gives_back_the_same():
    model = Model("keras", (DENSE, Layer("flatten", "Flatten", {}, ())))
    assert from_json(model.to_json()) == model
    assert model.layer("head") is DENSE
    assert list(model.weights()) == ["head/kernel", "head/bias"]


@pytest.mark.parametrize("text", ["{}", '{"framework": "jax", "layers": []}', '{"framework": "torch"}', "not json"])
def test_nothing_else_is_a_description(text):
    with pytest.raises(ValidationError):
        from_json(text)
