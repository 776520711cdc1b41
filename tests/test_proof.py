"""Each wrong transfer of weights is seen, and said what it is; what cannot be told is said to be so."""

import numpy as np
import pytest

from parity.pairing.proof import proven
from parity.pairing.rules import pair
from parity.pairing.transfer import carried, moved
from tests.described_models import (
    batch_norm,
    conv,
    keras,
    keras_batch_norm,
    keras_conv,
    keras_dense,
    layer,
    linear,
    torch,
    values,
)

ATTENTION = {
    **{f"{part}/kernel": (8, 2, 4) for part in ("query", "key", "value")},
    **{f"{part}/bias": (2, 4) for part in ("query", "key", "value")},
    "output/kernel": (2, 4, 8),
    "output/bias": (8,),
}
TORCH_ATTENTION = {"in_proj_weight": (24, 8), "in_proj_bias": (24,), "out_proj.weight": (8, 8), "out_proj.bias": (8,)}


def recurrent(kind, units, inputs, gates, bias):
    """A layer of Keras's and torch's."""
    ours = {"kernel": (inputs, gates * units), "recurrent_kernel": (units, gates * units), "bias": bias}
    rows = gates * units
    theirs = {
        "weight_ih_l0": (rows, inputs),
        "weight_hh_l0": (rows, units),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }
    return keras(layer("r", kind, ours)), torch(layer("r", kind, theirs, keras=False, num_layers=1))


def dense_pair(i=6, o=4):
    return keras(keras_dense("d", i, o)), torch(linear("d", i, o))


def conv_pair(i=4, o=5, k=3):
    return keras(keras_conv("c", i, o, k)), torch(conv("c", i, o, k))


def attention_pair():
    return (
        keras(layer("a", "MultiHeadAttention", ATTENTION)),
        torch(layer("a", "MultiheadAttention", TORCH_ATTENTION, keras=False)),
    )


def depthwise_pair():
    return keras(layer("w", "DepthwiseConv2D", {"kernel": (3, 3, 4, 2)})), torch(conv("w", 4, 8, groups=4))


def edited(pair_of_models, name, edit, source_name=None):
    """The proof of one of torch's weights after `edit` (it, Keras's values) on the right transfer."""
    pairing = pair(*pair_of_models)
    own = values(pair_of_models[0])
    other = dict(moved(pairing, own, "keras").values)
    assert {proof.status for proof in proven(pairing, own, other)} <= {"equal", "undecided"}
    other[name] = edit(other[name], own)
    proofs = [proof for proof in proven(pairing, own, other) if name in proof.torch]
    (found,) = [proof for proof in proofs if proof.status != "equal"] or proofs
    return found


FAULTS = {
    "a dense kernel that is not transposed": (
        dense_pair(4, 4), "d.weight", lambda w, own: own["d/kernel"], "reshaped and not transposed"
    ),
    "transformers' reshape on a shape mismatch": (
        dense_pair(6, 4), "d.weight", lambda w, own: own["d/kernel"].reshape(4, 6), "reshaped and not transposed"
    ),
    "a convolution of equal axes, onnx2tf's trap": (
        conv_pair(3, 3, 3), "c.weight", lambda w, own: w.swapaxes(0, 1), "with Keras's axes taken as (i, o, h, w)"
    ),
    "a square kernel transposed": (
        conv_pair(), "c.weight", lambda w, own: w.swapaxes(2, 3), "with Keras's axes taken as (o, i, w, h)"
    ),
    "a kernel turned round": (
        conv_pair(), "c.weight", lambda w, own: w[..., ::-1, ::-1], "rotated by 180 degrees"
    ),
    "a depthwise kernel turned as an ordinary one": (
        depthwise_pair(), "w.weight", lambda w, own: own["w/kernel"].transpose(3, 2, 0, 1).reshape(8, 1, 3, 3),
        "with Keras's axes taken as (m, c, h, w)",
    ),
    "a flattened feature map": (
        dense_pair(12, 5), "d.weight", lambda w, own: w.reshape(5, 4, 3).swapaxes(1, 2).reshape(5, 12),
        "with its inputs, 4 places of 3 channels, taken channel by channel",
    ),
    "a GRU's gates in Keras's order": (
        recurrent("GRU", 4, 3, 3, (2, 12)), "r.weight_ih_l0", lambda w, own: own["r/kernel"].T, "Keras's order of gates"
    ),
    "an LSTM's gates in another order": (
        recurrent("LSTM", 4, 3, 4, (16,)), "r.weight_hh_l0",
        lambda w, own: w.reshape(4, 4, 4)[[0, 1, 3, 2]].reshape(16, 4), "with its gates in the order (0, 1, 3, 2)",
    ),
    "both halves of a bias full": (
        recurrent("LSTM", 4, 3, 4, (16,)), "r.bias_hh_l0", lambda w, own: own["r/bias"], "their sum is twice it"
    ),
    "an attention's heads reversed": (
        attention_pair(), "in_proj_weight",
        lambda w, own: np.concatenate([own["a/query/kernel"].transpose(2, 1, 0).reshape(8, 8), w[8:]]),
        "with Keras's axes taken as (axis 2, axis 1, axis 0)",
    ),
    "query and key swapped": (
        attention_pair(), "in_proj_weight", lambda w, own: np.concatenate([w[8:16], w[8:]]), "those of a/key/kernel"
    ),
    "a negated bias": (dense_pair(), "d.bias", lambda w, own: -w, "torch has it negated"),
    "a scaled kernel": (dense_pair(), "d.weight", lambda w, own: w / 8, "torch has it times 0.125"),
    "a shifted kernel": (dense_pair(), "d.weight", lambda w, own: w + 1, "torch has it plus 1"),
    "a kernel through float16": (
        dense_pair(), "d.weight", lambda w, own: w.astype("float16").astype(float), "torch has it rounded to float16"
    ),
    "one number": (
        dense_pair(), "d.weight", lambda w, own: np.where(np.arange(24).reshape(4, 6) == 8, 9, w),
        "1 of 24 numbers differ, the most at [1, 2]",
    ),
    "no number on one side alone, which transformers' tests passed": (
        dense_pair(), "d.weight", lambda w, own: np.where(np.arange(24).reshape(4, 6) == 8, np.nan, w),
        "1 of 24 numbers are no number in torch alone",
    ),
    "a permutation with the same mean, which PaDiff's default passed": (
        dense_pair(), "d.bias", lambda w, own: w[[1, 0, 3, 2]], "in an order that no known transform gives"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_transfer_is_seen_and_named(fault):
    models, name, edit, says = FAULTS[fault]
    name = name if "." in name else f"a.{name}"
    found = edited(models, name, edit)
    assert found.status == "different"
    assert says in found.says


def test_statistics_that_are_swapped_are_seen():
    """Fresh ones would be 0 and 1 on both sides; these are not."""
    models = keras(keras_batch_norm("b", 4)), torch(batch_norm("b", 4))
    found = edited(models, "b.weight", lambda w, own: own["b/beta"])
    assert found.says == "torch has those of b/beta there"


def test_a_flattening_that_the_port_undid_is_found_by_the_values():
    models = dense_pair(12, 5)
    own = values(models[0])
    other = {
        "d.weight": own["d/kernel"].reshape(4, 3, 5).transpose(2, 1, 0).reshape(5, 12),
        "d.bias": own["d/bias"],
    }
    pairing = pair(*models, own, other)
    assert [proof.says for proof in proven(pairing, own, other)] == [
        'equal by "(s c) o" -> "o (c s)"',
        'equal by "o" -> "o"',
    ]
    back = moved(pairing, other, "torch").values
    assert all((back[name] == own[name]).all() for name in own)


@pytest.mark.parametrize(
    ("models", "name", "value", "says"),
    [
        (dense_pair(), "d/bias", np.zeros(4), "all its 4 numbers are 0"),
        (dense_pair(4, 4), "d/kernel", np.diag([1.0, 2, 3, 4]) + 1, "the same reshaped and not transposed"),
        (conv_pair(3, 3), "c/kernel", np.ones((3, 3, 3, 3)) * np.eye(3)[:, :, None, None], "the same with"),
    ],
)
def test_values_that_cannot_tell_are_said_not_to(models, name, value, says):
    pairing = pair(*models)
    own = values(models[0]) | {name: value}
    proofs = proven(pairing, own, moved(pairing, own, "keras").values)
    found = [proof for proof in proofs if proof.status == "undecided"]
    assert [proof.keras for proof in found] == [(name,)]
    assert says in found[0].says


def test_a_multiplier_of_one_leaves_nothing_undecided():
    """Both ways to turn the kernel are the same one then."""
    models = keras(layer("w", "DepthwiseConv2D", {"kernel": (3, 3, 4, 1)})), torch(conv("w", 4, 4, groups=4))
    pairing, own = pair(*models), values(models[0])
    assert {proof.status for proof in proven(pairing, own, moved(pairing, own, "keras").values)} == {"equal"}


def test_what_the_other_side_lacks_has_to_mean_nothing():
    ours = keras(layer("b", "BatchNormalization", dict.fromkeys(("beta", "moving_mean", "moving_variance"), (4,))))
    theirs = torch(batch_norm("b", 4))
    pairing, own = pair(ours, theirs), values(ours)
    over = moved(pairing, own, "keras")
    assert (over.values["b.weight"] == 1).all()
    assert over.notes == ("b.weight: Keras has no scale there; set to 1",)
    assert {proof.status for proof in proven(pairing, own, over.values)} == {"equal"}
    scaled = {**over.values, "b.weight": np.full(4, 2.0)}
    assert moved(pairing, scaled, "torch").lost == (
        "b.weight: Keras has no scale there; it is not 1 everywhere, and cannot be carried",
    )
    assert [proof.status for proof in proven(pairing, own, scaled)][-1] == "lacking"


def test_part_of_a_weight_is_not_carried():
    """Two of an attention's three parts are paired: the stacked weight stays as it is."""
    ours = keras(*[keras_dense(name, 8, 8) for name in ("query", "key")])
    theirs = torch(layer("a", "MultiheadAttention", TORCH_ATTENTION, keras=False))
    pairing = pair(ours, theirs)
    over = moved(pairing, values(ours), "keras")
    assert "a.in_proj_weight" not in over.values
    assert not pairing.pairs or over.lost


def test_each_half_of_a_sum_has_the_gradient_of_the_sum():
    models = recurrent("LSTM", 4, 3, 4, (16,))
    pairing, gradients = pair(*models), values(models[0])
    over = carried(pairing, gradients, "keras").values
    assert (over["r.bias_ih_l0"] == gradients["r/bias"]).all()
    assert (over["r.bias_hh_l0"] == gradients["r/bias"]).all()
    back = carried(pairing, over, "torch")
    assert all((back.values[name] == gradients[name]).all() for name in gradients)
    assert back.lost == ()
    over["r.bias_hh_l0"] = over["r.bias_hh_l0"] * 2
    assert "have two" in carried(pairing, over, "torch").lost[0]


def test_gradients_that_are_not_there_are_left_out():
    models = dense_pair()
    assert set(carried(pair(*models), {"d/kernel": np.ones((6, 4))}, "keras").values) == {"d.weight"}
