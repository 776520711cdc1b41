"""Which layer is which: each rule, each message, and that no rule pairs what it cannot know."""

from pathlib import Path

import pytest

from parity.errors import UsageError
from parity.pairing.given import from_toml, to_toml
from parity.pairing.rules import pair
from parity.pairing.transfer import moved
from tests.described_models import (
    batch_norm,
    chain,
    conv,
    keras,
    keras_batch_norm,
    keras_conv,
    keras_dense,
    layer,
    linear,
    plain,
    torch,
    values,
)


def names(pairing):
    """The pairs as they read."""
    return {(p.keras + (f":{p.parts[0]}" if p.parts[0] else ""), p.torch): p.rule for p in pairing.pairs}


def attention(side, order=("q", "k", "v"), prefix="", reads=("h",)):
    """Three dense layers of one shape that read one tensor, and one that reads what they make."""
    dense = keras_dense if side is keras else linear
    inner = [dense(f"{prefix}{name}", 64, 64, reads=reads) for name in order]
    return side(dense("embed", 8, 64, reads=("x",), writes=("h",)), *inner, dense("head", 64, 5, reads=("y",)))


def test_different_shapes_pair_whatever_their_names():
    ours = keras(keras_conv("a", 3, 5), keras_batch_norm("b", 5), keras_dense("c", 20, 7))
    theirs = torch(conv("x", 3, 5), batch_norm("y", 5), linear("z", 20, 7))
    found = pair(ours, theirs)
    assert names(found) == dict.fromkeys((("a", "x"), ("b", "y"), ("c", "z")), "structure")
    assert found.messages == ()


def test_the_users_map_goes_before_all_rules():
    given = from_toml('"b" = "x"\n"a" = "y"\n')
    found = pair(
        keras(keras_dense("a", 4, 4), keras_dense("b", 4, 4)), torch(linear("x", 4, 4), linear("y", 4, 4)), given=given
    )
    assert names(found) == {("a", "y"): "map", ("b", "x"): "map"}


def test_equal_values_go_before_order_even_where_they_are_transposed_wrongly():
    ours, theirs = keras(keras_dense("a", 4, 4), keras_dense("b", 4, 4)), torch(linear("x", 4, 4), linear("y", 4, 4))
    own, other = values(ours), values(theirs, 1)
    other["y.weight"] = own["a/kernel"].T
    other["x.weight"] = own["b/kernel"]  # not transposed
    found = pair(ours, theirs, own, other)
    assert names(found) == {("a", "y"): "values", ("b", "x"): "values"}


def test_equal_values_of_two_layers_decide_nothing():
    ours, theirs = keras(keras_dense("a", 4, 4), keras_dense("b", 4, 4)), torch(linear("x", 4, 4), linear("y", 4, 4))
    own, other = values(ours), values(theirs, 1)
    own["b/kernel"] = own["a/kernel"]
    other["y.weight"] = other["x.weight"] = own["a/kernel"].T
    assert "values" not in names(pair(ours, theirs, own, other)).values()


def test_names_tell_parallel_layers_apart_whatever_their_order():
    found = pair(attention(keras, ("query", "key", "value")), attention(torch, ("k_proj", "v_proj", "q_proj")))
    assert names(found) == {
        ("embed", "embed"): "structure",
        ("query", "q_proj"): "names",
        ("key", "k_proj"): "names",
        ("value", "v_proj"): "names",
        ("head", "head"): "structure",
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("dense_1", "dense_2", "dense_3"), ("es.0", "es.1", "es.2")),
        (("dense", "dense_1", "dense_2"), ("fc1", "fc2", "fc3")),
        (("tower_9", "tower_10", "tower_11"), ("t.9", "t.10", "t.11")),
    ],
)
def test_numbers_tell_parallel_layers_apart_by_their_order(ours, theirs):
    """One side counts from 0, the other from 1, or from some layer before."""
    found = names(pair(attention(keras, ours), attention(torch, theirs[::-1])))
    assert {pair for pair, rule in found.items() if rule == "names"} == set(zip(ours, theirs, strict=True))


def test_parallel_layers_without_telling_names_stay_unpaired():
    found = pair(attention(keras, ("d_a", "d_b", "d_c")), attention(torch, ("one", "two", "three")))
    assert found.unpaired == {"keras": ("d_a", "d_b", "d_c"), "torch": ("one", "two", "three")}
    (message,) = found.messages
    assert '"d_a", "d_b" and "d_c" all fit "one", "two" and "three" (64x64)' in message
    assert 'Say it in the map: "d_a" = "one"' in message


def test_what_partners_read_tells_layers_of_one_shape_apart():
    """A shortcut that runs before the main path on one side and after it on the other."""

    def block(dense, order):
        inner = {
            "shortcut": dense("s" if dense is keras_dense else "f3", 8, 32, reads=("p",), writes=("s",)),
            "first": dense("f" if dense is keras_dense else "f1", 8, 8, reads=("p",), writes=("f",)),
            "last": dense("l" if dense is keras_dense else "f2", 8, 32, reads=("f",), writes=("l",)),
        }
        return [dense("stem", 3, 8, reads=("x",), writes=("p",)), *(inner[name] for name in order)]

    ours = keras(*block(keras_dense, ("shortcut", "first", "last")))
    theirs = torch(*block(linear, ("first", "last", "shortcut")))
    found = names(pair(ours, theirs))
    assert found == dict.fromkeys((("stem", "stem"), ("s", "f3"), ("f", "f1"), ("l", "f2")), "structure")


def test_a_chain_of_equal_layers_pairs_in_its_order():
    ours = keras(*chain(*[keras_dense(f"d{n}", 6, 6) for n in range(3)]))
    theirs = torch(*chain(*[linear(f"m.{2 * n}", 6, 6) for n in range(3)]))
    found = pair(ours, theirs)
    assert names(found) == dict.fromkeys((("d0", "m.0"), ("d1", "m.2"), ("d2", "m.4")), "structure")
    assert found.messages == ()


def test_a_convolution_in_groups_is_no_convolution_of_fewer_channels():
    """Their kernels have one shape."""
    shapes = {"depthwise_kernel": (3, 3, 2, 1), "pointwise_kernel": (1, 1, 2, 2), "bias": (2,)}
    ours = keras(keras_conv("c", 1, 2), layer("s", "SeparableConv2D", shapes))
    theirs = torch(conv("x", 1, 2), conv("y", 2, 2, groups=2), conv("z", 2, 2, 1))
    assert set(names(pair(ours, theirs))) == {("c", "x"), ("s:depthwise", "y"), ("s:pointwise", "z")}


@pytest.mark.parametrize(("functions", "paired"), [(("tanh", "sigmoid"), 4), (("tanh", "tanh"), 2)])
def test_what_is_applied_tells_layers_of_one_input_apart(functions, paired):
    """Where it is the same on both sides, and of each layer another; in whatever order they stand."""

    def block(dense, names, result):
        inner = [dense(name, 8, 8, reads=("p",), writes=(name,)) for name in names]
        return [
            dense("stem", 3, 8, reads=("x",), writes=("p",)),
            *inner,
            dense("end", 8, 2, reads=(result,), writes=("y",)),
        ]

    ours, theirs = keras(*block(keras_dense, "ab", "c")), torch(*block(linear, "uv", "w"))
    made = (
        {"a/tanh": ("a",), f"b/{functions[1]}": ("b",), "c": ("a/tanh", f"b/{functions[1]}")},
        {"tanh": ("v",), f"{functions[1]}#2": ("u",), "w": ("tanh", f"{functions[1]}#2")},
    )
    found = names(pair(ours, theirs, made_of=made))
    assert len(found) == paired
    assert paired == 2 or {("a", "v"), ("b", "u")} <= set(found)


def test_order_alone_is_a_guess_and_said_to_be():
    ours, theirs = [keras_dense(f"d{n}", 6, 6) for n in range(2)], [linear(f"m{n}x", 6, 6) for n in ("a", "b")]
    found = pair(keras(*ours), torch(*theirs))
    assert [p.guess for p in found.pairs] == [True, True]
    assert found.messages[0].startswith('"d0" and "d1" are paired with "max" and "mbx" by their order alone')


def test_order_and_numbers_that_contradict_each_other_pair_nothing():
    found = pair(keras(keras_dense("d1", 6, 6), keras_dense("d2", 6, 6)), torch(linear("f2", 6, 6), linear("f1", 6, 6)))
    assert found.unpaired == {"keras": ("d1", "d2"), "torch": ("f2", "f1")}


def test_a_layer_that_the_other_side_lacks_is_named_with_its_place():
    ours = keras(*chain(keras_conv("c1", 3, 4), keras_batch_norm("proj_bn", 4), keras_conv("c2", 4, 5)))
    found = pair(ours, torch(*chain(conv("c1", 3, 4), conv("c2", 4, 5))))
    assert found.unpaired == {"keras": ("proj_bn",), "torch": ()}
    assert found.messages == (
        "Keras has 3 layers with weights, torch 2; what is left over follows",
        'Keras "proj_bn" (BatchNormalization, 4), between "c1" and "c2", has no partner: nothing left in torch has its '
        'kind and shape. If it is meant: ignore = ["proj_bn"]',
    )
    given = from_toml('ignore = ["proj_bn"]')
    assert pair(ours, torch(*chain(conv("c1", 3, 4), conv("c2", 4, 5))), given=given).messages == ()


def test_a_surplus_norm_does_not_derail_those_behind_it():
    """Five norms of one width against four: what they read tells which one is too many."""
    widths = [keras_conv("c1", 3, 4), keras_batch_norm("b1", 4), keras_conv("c2", 4, 4), keras_batch_norm("b2", 4)]
    ours = keras(*chain(*widths, keras_batch_norm("extra", 4), keras_conv("c3", 4, 4, 1), keras_batch_norm("b3", 4)))
    theirs = torch(
        *chain(
            conv("c1", 3, 4), batch_norm("b1", 4), conv("c2", 4, 4), batch_norm("b2", 4), conv("c3", 4, 4, 1),
            batch_norm("b3", 4),
        )
    )  # fmt: skip
    found = pair(ours, theirs)
    assert {(p.keras, p.torch) for p in found.pairs} == {(n, n) for n in ("c1", "b1", "c2", "b2", "c3", "b3")}
    assert found.unpaired == {"keras": ("extra",), "torch": ()}


def test_swapped_axes_are_asked_about():
    ours = keras(layer("up", "Conv2DTranspose", {"kernel": (3, 3, 8, 4)}))
    found = pair(ours, torch(conv("conv2", 4, 8)))
    assert (
        "conv2.weight (8, 4, 3, 3) has its numbers, but fits no transform of up/kernel (3, 3, 8, 4)"
        in found.messages[0]
    )


def test_a_gru_that_resets_first_has_no_counterpart():
    shapes = {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (12,)}
    ours = keras(layer("enc", "GRU", shapes, reset_after=False))
    theirs = {"weight_ih_l0": (12, 3), "weight_hh_l0": (12, 4), "bias_ih_l0": (12,), "bias_hh_l0": (12,)}
    found = pair(ours, torch(layer("enc", "GRU", theirs, keras=False, num_layers=1)))
    assert any('"enc"' in m and "reset_after=False has no torch counterpart" in m for m in found.messages)


def test_layers_without_weights_pair_by_meaning_between_anchors():
    ours = keras(
        keras_conv("c1", 3, 4, activation="relu"),
        plain("pool", "MaxPooling2D"),
        keras_conv("c2", 4, 5),
        plain("act", "Activation", activation="swish"),
        plain("gap", "GlobalAveragePooling2D"),
        plain("drop", "Dropout", rate=0.5),
        keras_dense("fc", 5, 2),
    )
    theirs = torch(
        conv("0", 3, 4),
        plain("1", "ReLU"),
        plain("2", "MaxPool2d"),
        conv("3", 4, 5),
        plain("4", "SiLU"),
        plain("5", "AdaptiveAvgPool2d", output_size=1),
        plain("6", "Flatten"),
        plain("7", "Dropout", p=0.5),
        linear("8", 5, 2),
    )
    assert set(names(pair(ours, theirs))) == {
        ("c1", "0"), ("c1:activation", "1"), ("pool", "2"), ("c2", "3"), ("act", "4"), ("gap", "5"), ("drop", "7"),
        ("fc", "8"),
    }  # fmt: skip


def test_a_map_is_written_and_read_again():
    ours = keras(
        layer(
            "sep", "SeparableConv2D", {"depthwise_kernel": (3, 3, 4, 1), "pointwise_kernel": (1, 1, 4, 7), "bias": (7,)}
        ),
        keras_dense('the "odd" one', 7, 7),
        keras_dense("b", 7, 7),
    )
    theirs = torch(conv("dw", 4, 4, groups=4), conv("pw", 4, 7, 1), linear("x", 7, 7), linear("y", 7, 7))
    first = pair(ours, theirs)
    assert any(p.guess for p in first.pairs)
    text = to_toml(first)
    again = pair(ours, theirs, given=from_toml(text))
    assert [(p.keras, p.torch, p.parts, p.links) for p in again.pairs] == [
        (p.keras, p.torch, p.parts, p.links) for p in first.pairs
    ]
    assert {p.rule for p in again.pairs} == {"map"}
    assert again.messages == ()
    edited = pair(
        ours,
        theirs,
        given=from_toml(text.replace('"b" = "y"', '"b" = "x"').replace('odd\\" one" = "x"', 'odd\\" one" = "y"')),
    )
    assert ("b", "x") in names(edited)


def test_the_documents_map_can_be_read():
    text = (Path(__file__).parents[1] / "docs" / "own-pair.md").read_text()
    said = from_toml(text.split("```toml\n")[1].split("```")[0])
    assert said.pairs["separable"] == ("depthwise", "pointwise")
    assert said.ignore == ("aux_head",)
    assert said.flattened == {"fc1": 512}
    assert said.layout
    assert said.sum


def test_globs_pair_what_they_find_in_order_and_numbers_count():
    ours = keras(*[keras_dense(f"block_{n}/fc", 6, 6) for n in (2, 10, 1)])
    theirs = torch(*[linear(f"blocks.{n}.mlp", 6, 6) for n in (0, 9, 1)])
    found = pair(ours, theirs, given=from_toml('"block_*/fc" = "blocks.*.mlp"'))
    assert set(names(found)) == {
        ("block_1/fc", "blocks.0.mlp"), ("block_2/fc", "blocks.1.mlp"), ("block_10/fc", "blocks.9.mlp")
    }  # fmt: skip


def test_one_layer_against_two():
    shapes = {"depthwise_kernel": (3, 3, 4, 2), "pointwise_kernel": (1, 1, 8, 8), "bias": (8,)}
    ours, theirs = keras(layer("sep", "SeparableConv2D", shapes)), torch(conv("a", 4, 8, groups=4), conv("b", 8, 8, 1))
    assert set(names(pair(ours, theirs, given=from_toml('"sep" = ["a", "b"]')))) == {
        ("sep:depthwise", "a"),
        ("sep:pointwise", "b"),
    }


def test_a_layout_and_a_sum_of_the_map():
    ours = keras(layer("own", "MyLayer", {"table": (2, 3), "shift": (3,)}))
    theirs = torch(layer("mine", "Mine", {"rows": (3, 2), "one": (3,), "two": (3,)}, keras=False))
    assert pair(ours, theirs).unpaired["keras"] == ("own",)
    given = from_toml(
        '"own" = "mine"\n[layout]\n"own/table" = "a b -> b a"\n[sum]\n"own/shift" = ["mine.one", "mine.two"]\n'
    )
    found = pair(ours, theirs, given=given)
    own = values(ours)
    over = moved(found, own, "keras")
    assert (over.values["mine.rows"] == own["own/table"].T).all()
    assert (over.values["mine.one"] == own["own/shift"]).all()
    assert not over.values["mine.two"].any()


def test_layers_of_a_users_own_classes_pair_by_shape():
    ours = keras(layer("token", "ClassToken", {"token": (1, 1, 6)}), keras_dense("fc", 6, 2))
    theirs = torch(layer("", "Net", {"cls": (1, 1, 6)}, keras=False), linear("fc", 6, 2))
    assert set(names(pair(ours, theirs))) == {("token", ""), ("fc", "fc")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"stem2" = "x"', 'the map names "stem2", which Keras\'s model does not have; closest: "stem_2"'),
        ('"stem_2" = "nothing"', 'the map names "nothing", which torch\'s model does not have'),
        ('ignore = ["stem2"]', 'the map names "stem2"'),
        ('"stem*" = "x"', "means 2 of Keras's layers and 1 of torch's"),
        ("a = ", "is not TOML"),
        ('"a" = 3', "neither a pair"),
        ("ignore = 3", "neither a pair"),
        ('[flattened]\n"stem_2" = "3"', "[flattened] cannot have 'stem_2' so"),
        ('[flattened]\n"stem_2" = 3', "it has to be a Dense whose inputs are so many or a multiple"),
        ('[layout]\n"stem_2/kernel" = "a b"', "[layout] cannot have"),
        ('[layout]\n"stem_2/kernel" = "a b -> a b c"', "does not fit stem_2/kernel (4, 5) and x.weight (5, 4)"),
        ('[sum]\n"stem_2/bias" = ["z.bias"]', 'the map sums "z.bias"'),
    ],
)
def test_a_wrong_map_is_told_in_one_line(text, says):
    ours, theirs = (
        keras(keras_dense("stem_2", 4, 5), keras_dense("stem_3", 5, 6)),
        torch(linear("x", 4, 5), linear("z", 5, 6)),
    )
    with pytest.raises(UsageError) as error:
        pair(ours, theirs, given=from_toml(text))
    assert says in str(error.value)
    assert "\n" not in str(error.value)
