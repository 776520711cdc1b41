"""What configurations say is compared by meaning, and stock layers that mean the same have no finding."""

import pytest

from parity.pairing.rules import pair
from parity.pairing.settings import compared
from tests.described_models import batch_norm, conv, keras, keras_batch_norm, keras_conv, layer, plain, torch


def said(ours, theirs):
    """The findings on a pair of layers, with a ? after what is no more than a note."""
    found = compared(pair(keras(*ours), torch(*theirs)))
    return [f"{finding}{'' if finding.certain else '?'}" for finding in found if finding.level is None]


def test_equal_settings_have_no_findings():
    ours = [
        keras_conv("c", 3, 4, strides=[2, 2], padding="valid"),
        keras_batch_norm("b", 4, epsilon=1e-5, momentum=0.9),
    ]
    theirs = [conv("c", 3, 4, stride=[2, 2], padding=[0, 0]), batch_norm("b", 4)]
    assert said(ours, theirs) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (
            {},
            {},
            [
                "b: epsilon 0.001 in Keras, 1e-05 in torch (both defaults)",
                "b: momentum 0.99 in Keras, 0.9 in torch (both defaults)",
            ],
        ),
        ({"epsilon": 1.001e-5, "momentum": 0.9}, {}, ["b: epsilon 1.001e-05 in Keras, 1e-05 in torch"]),
        ({"epsilon": 1e-5, "momentum": 0.97}, {"momentum": 0.03}, []),
    ],
)  # fmt: skip
def test_batch_norm(ours, theirs, expected):
    assert said([keras_batch_norm("b", 4, **ours)], [batch_norm("b", 4, **theirs)]) == expected


def test_what_stock_batch_norms_keep_shows_in_the_buffers_alone():
    ours, theirs = keras_batch_norm("b", 4, epsilon=1e-5, momentum=0.9), batch_norm("b", 4)
    (found,) = compared(pair(keras(ours), torch(theirs)))
    assert (
        str(found) == "b: torch's own batch norm keeps the unbiased variance of a batch, Keras's layer the biased one"
    )
    assert (found.level, found.certain) == ("buffers", False)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"strides": [2, 2]}, {"stride": [1, 1]}, ["c: strides [2, 2] in Keras, [1, 1] in torch"]),
        ({"dilation_rate": [2, 2]}, {"dilation": 2}, []),
        ({"padding": "same"}, {"padding": [1, 1]}, []),
        ({"padding": "same"}, {"padding": "same"}, []),
        ({"padding": "same"}, {"padding": 0}, ['c: padding "same" in Keras is [2, 2] in all, [0, 0] in torch?']),
        ({"padding": "valid"}, {"padding": [1, 1]}, ['c: padding "valid" in Keras, [1, 1] in torch?']),
        (
            {"padding": "same", "strides": [2, 2]},
            {"padding": [1, 1], "stride": [2, 2]},
            [
                'c: padding "same" at strides [2, 2] in Keras pads what the size needs, the odd one at the end; [1, 1] '
                "in torch pads both ends alike?"
            ],
        ),
        ({}, {"padding_mode": "reflect"}, ["c: padding_mode='reflect' in torch; Keras pads with zeros"]),
        (
            {"kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}}},
            {},
            ["c: kernel_regularizer L2(l2=0.01) adds to Keras's loss; torch's loss has to add it, too?"],
        ),
    ],
)
def test_convolution(ours, theirs, expected):
    assert said([keras_conv("c", 3, 4, **ours)], [conv("c", 3, 4, **theirs)]) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (
            plain("p", "AveragePooling2D", pool_size=[3, 3], strides=[1, 1], padding="same"),
            plain("p", "AvgPool2d", kernel_size=3, stride=1, padding=1, count_include_pad=True),
            ["p: count_include_pad=True: torch's averages count the zeros of the border, Keras's do not"],
        ),
        (plain("a", "LeakyReLU", negative_slope=0.3), plain("a", "LeakyReLU", negative_slope=0.01),
         ["a: slope 0.3 in Keras, 0.01 in torch (both defaults)"]),
        (plain("a", "ReLU", negative_slope=0.0, max_value=6.0), plain("a", "ReLU6"), []),
        (plain("d", "Dropout", rate=0.1), plain("d", "Dropout", p=0.5), ["d: rate 0.1 in Keras, 0.5 in torch"]),
        (keras_conv("c", 3, 4, activation="leaky_relu"),
         [conv("c", 3, 4), plain("r", "LeakyReLU", negative_slope=0.01)],
         ["c / r: slope 0.2 in Keras, 0.01 in torch"]),
        (plain("g", "Activation", activation="gelu"), plain("g", "GELU", approximate="tanh"),
         ["g: torch's GELU has approximate='tanh'; Keras's configuration does not say which it is?"]),
    ],
)  # fmt: skip
def test_layers_without_weights(ours, theirs, expected):
    assert said([ours], theirs if isinstance(theirs, list) else [theirs]) == expected


LSTM = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)}
TORCH_LSTM = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,)}


def test_a_bias_that_is_trained_twice():
    theirs = layer("r", "LSTM", TORCH_LSTM, keras=False, num_layers=1, batch_first=False)
    assert said([layer("r", "LSTM", LSTM, recurrent_activation="hard_sigmoid")], [theirs]) == [
        "r: batch_first=False: torch reads (time, batch, features), Keras (batch, time, features)?",
        "r: recurrent_activation hard_sigmoid in Keras; torch has sigmoid",
        "r: torch trains bias_ih_l0 and bias_hh_l0, whose sum is Keras's bias: the sum moves twice as far",
    ]


def test_a_row_that_is_not_trained():
    ours, theirs = (
        layer("e", "Embedding", {"embeddings": (9, 4)}),
        layer("e", "Embedding", {"weight": (9, 4)}, keras=False, padding_idx=0),
    )
    assert said([ours], [theirs]) == ["e: padding_idx=0: torch does not train that row, Keras does"]
