"""What a layer of torch's may have to be for its stage to give what Keras's layer gives: variants to be replayed.

A variant is edits of torch's model, as `edited` in torch_impl/capture.py has them. Which of them agree is seen by
running the stage under each, from Keras's tensors; nothing is claimed of one that does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parity.models.calls import Call
from parity.models.described import Layer
from parity.pairing.windows import several

Edit = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """Edits, and what they would mean: what is said if the stage then agrees, what to write, the known difference.

    `weights` are torch's weights by another transfer, by name.
    """

    name: str
    says: str
    fix: str
    entry: str | None
    edits: tuple[Edit, ...] = ()
    weights: Mapping[str, Any] | None = None

    def changes(self) -> set[tuple[str, str, str]]:
        """Every single thing that is changed: of what, which, into what."""
        found = set()
        for edit in self.edits:
            where = str(edit.get("path", edit.get("function")))
            rest = {**edit.get("set", {}), **edit.get("keywords", {})}
            rest |= {name: edit[name] for name in ("pad", "fill", "crop", "arguments") if name in edit}
            found |= {(where, name, repr(value)) for name, value in rest.items()}
        return found | {(name, "", "") for name in self.weights or ()}


@dataclass(frozen=True)
class Part:
    """What a stage has in it: Keras's layer, and one of torch's layers or functions.

    `around` is what Keras puts around what its layer reads, before and after along each axis, in a layer of its own.
    """

    keras: Layer | None
    torch: Layer | None
    call: Call
    around: tuple[tuple[int, int], ...] = ()


# Numbers that both frameworks' layers have: Keras's name, torch's, and the known difference by kind of torch's layer.
NUMBERS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("epsilon", "eps", {"BatchNorm": "batchnorm_epsilon", "LayerNorm": "layer_norm_epsilon"}),
    ("negative_slope", "negative_slope", {"LeakyReLU": "leaky_relu_slope"}),
    ("alpha", "alpha", {}),
    ("groups", "num_groups", {}),
)  # fmt: skip
# Switches of torch's layers, and what they are said to do.
SWITCHES: Mapping[str, tuple[str, str, str]] = {
    "count_include_pad": ("counts the zeros of the border in its averages", "does not count the zeros of the border",
                          "avg_pool_counts_padding"),
    "batch_first": ("reads (batch, time, features)", "reads (time, batch, features)", "lstm_batch_first"),
    "ceil_mode": ("keeps a last window that is not full", "drops a last window that is not full", "pool_odd_size"),
    "elementwise_affine": ("scales and shifts", "neither scales nor shifts", ""),
}  # fmt: skip
# What nn.RNN may apply, each with the other one.
NONLINEARITIES = {"tanh": "relu", "relu": "tanh"}
# Keras's softplus: log(1 + exp(x)), however large x is.
SOFTPLUS = {"beta": 1.0, "threshold": 1e300}
APPROXIMATIONS = {"none": "tanh", "tanh": "none"}


def variants(part: Part) -> Iterator[Variant]:
    """All that is tried of one layer or function of torch's."""
    if part.torch is None:
        yield from of_function(part)
        return
    layer, settings = part.torch, part.torch.settings
    own = {} if part.keras is None else part.keras.settings
    for name, other, entries in NUMBERS:
        if name in own and other in settings and own[name] != settings[other]:
            entry = next((entry for kind, entry in entries.items() if layer.kind.startswith(kind)), None)
            says = f"torch's {layer.kind} has {other}={settings[other]:g}, Keras's {name} is {own[name]:g}"
            edit = {"path": layer.path, "set": {other: own[name]}}
            yield Variant(name, says, f"{layer.kind}(..., {other}={own[name]:g})", entry, (edit,))
    for name, (on, off, entry) in SWITCHES.items():
        if name in settings:
            value = bool(settings[name])
            says = f"torch's {layer.kind} {on if value else off}, and Keras's layer does otherwise"
            edit = {"path": layer.path, "set": {name: not value}}
            yield Variant(entry or name, says, f"{layer.kind}(..., {name}={not value})", entry or None, (edit,))
    if layer.kind.startswith("Upsample"):
        yield from of_resizing(own, {"path": layer.path, "set": {}}, layer.kind)
    if layer.kind == "MultiheadAttention":
        yield from of_multihead(part)
    if settings.get("nonlinearity") in NONLINEARITIES:
        yield of_nonlinearity(layer)
    if layer.kind == "Softplus":
        yield of_softplus({"path": layer.path, "set": SOFTPLUS})
    if "approximate" in settings:
        yield of_gelu(str(settings["approximate"]), {"path": layer.path, "set": {}}, layer.kind)
    yield from of_window(part)


def of_strides(parts: Sequence[Part]) -> Iterator[Variant]:
    """The strides of a stage's convolutions, each as its partner in Keras has it, and its other numbers with them."""
    strides: tuple[list[Any], list[Any]] = [], []
    edits: list[Edit] = []
    others: dict[str, None] = {}
    for keras, torch in ((part.keras, part.torch) for part in parts):
        if keras is None or torch is None:
            continue
        change = {o: keras.settings[n] for n, o, _ in NUMBERS if n in keras.settings and o in torch.settings}
        others |= {f"{n} {v:g}, not {torch.settings[n]:g}": None for n, v in change.items() if v != torch.settings[n]}
        if "strides" in keras.settings and "stride" in torch.settings:
            both = keras.settings["strides"], torch.settings["stride"]
            # One number stands for all, on one side or on both.
            count = max(len(several(value, 1)) for value in both)
            for found, value in zip(strides, both, strict=True):
                found.append(several(value, count))
            change["stride"] = strides[0][-1]
        edits += [{"path": torch.path, "set": change}] if change else []
    if strides[0] != strides[1]:
        ours, theirs = (", ".join(map(str, found)) for found in strides)
        says = f"the strides are {ours} in Keras, {theirs} in torch, in the order of the convolutions"
        says += f"; and Keras has {', '.join(others)}" if others else ""
        where = " and ".join(p.torch.path for p in parts if p.torch is not None and "stride" in p.torch.settings)
        moved = "stride_position" if sorted(strides[0]) == sorted(strides[1]) else None
        yield Variant("strides", says, f"{where}: stride={ours}", moved, tuple(edits))


def of_function(part: Part) -> Iterator[Variant]:
    """The same of functions that forward() calls, whose arguments are not seen."""
    kind = part.call.kind
    own = {} if part.keras is None else part.keras.settings
    if kind == "gelu":
        for is_now in APPROXIMATIONS:
            yield of_gelu(is_now, {"function": kind, "keywords": {}}, "gelu")
    if kind.startswith("avg_pool"):
        on, off, entry = SWITCHES["count_include_pad"]
        for value, says in ((False, on), (True, off)):
            edit = {"function": kind, "keywords": {"count_include_pad": value}}
            yield Variant(
                entry,
                f"torch's {kind} {says}, and Keras's layer does otherwise",
                f"{kind}(..., count_include_pad={value})",
                entry,
                (edit,),
            )
    if kind == "softplus":
        yield of_softplus({"function": kind, "keywords": SOFTPLUS})
    if kind == "scaled_dot_product_attention":
        yield from of_attention(kind)
    if kind == "interpolate":
        yield from of_resizing(own, {"function": kind, "keywords": {}}, f"F.{kind}")
    if kind == "leaky_relu" and "negative_slope" in own:
        slope = own["negative_slope"]
        edit = {"function": kind, "keywords": {"negative_slope": slope}}
        says = f"torch's leaky_relu has another slope than Keras's {slope:g}"
        yield Variant("leaky_relu_slope", says, f"leaky_relu(x, {slope:g})", "leaky_relu_slope", (edit,))


def of_softplus(edit: Edit) -> Variant:
    """Keras's softplus, which has no slope and no bend."""
    says = "torch's softplus has a beta or a threshold of its own, Keras's is log(1 + exp(x))"
    return Variant("softplus_beta", says, "F.softplus(x)", None, (edit,))


def of_nonlinearity(layer: Layer) -> Variant:
    """The other function of nn.RNN."""
    is_now = str(layer.settings["nonlinearity"])
    other = NONLINEARITIES[is_now]
    says = f"torch's {layer.kind} applies {is_now}, Keras's layer {other}"
    edit: Edit = {"path": layer.path, "set": {"nonlinearity": other, "mode": f"RNN_{other.upper()}"}}
    return Variant("nonlinearity", says, f'{layer.kind}(..., nonlinearity="{other}")', None, (edit,))


def of_attention(kind: str) -> Iterator[Variant]:
    """What attention leaves out of later steps, and what it divides by."""
    for causal, says in (
        (True, "each step attends to later ones, too, in torch, and to earlier ones alone in Keras"),
        (False, "each step attends to earlier ones alone in torch, and to all in Keras"),
    ):
        edit = {"function": kind, "keywords": {"is_causal": causal, "attn_mask": None}}
        yield Variant("causal_attention", says, f"F.{kind}(..., is_causal={causal})", "causal_attention", (edit,))
    for scale, says, fix in (
        (None, "torch's attention has a scale of its own, Keras divides by the root of a head's size", "without scale"),
        (1.0, "torch's attention divides its scores by the root of a head's size, Keras takes them as they are",
         "with scale=1.0"),
    ):  # fmt: skip
        edit = {"function": kind, "keywords": {"scale": scale}}
        yield Variant("attention_scale", says, f"F.{kind}(q, k, v) {fix}", "attention_scale", (edit,))


def of_multihead(part: Part) -> Iterator[Variant]:
    """What nn.MultiheadAttention leaves out of later steps, and into how many heads it divides its features."""
    assert part.torch is not None
    path, own, settings = part.torch.path, {} if part.keras is None else part.keras.settings, part.torch.settings
    heads, features = own.get("num_heads"), settings.get("embed_dim")
    if heads and features and heads != settings.get("num_heads") and features % heads == 0:
        says = f"torch divides its features into {settings.get('num_heads')} heads, Keras into {heads}"
        edit: Edit = {"path": path, "set": {"num_heads": heads, "head_dim": features // heads}}
        yield Variant("heads", says, f"nn.MultiheadAttention({features}, {heads})", None, (edit,))
    shapes, axis = part.call.inputs, 1 if settings.get("batch_first") else 0
    if not shapes or any(len(shape) != 3 for shape in shapes[:2]):
        return
    query, key = (shape[axis] for shape in (shapes[0], shapes[min(1, len(shapes) - 1)]))
    hidden = [[later > step for later in range(key)] for step in range(query)]
    mask = f"torch.ones({query}, {key}, dtype=torch.bool).triu(1)"
    for value, says, fix in (
        (hidden, "each step attends to earlier ones alone in Keras, and torch's mask is another one, or none", mask),
        (None, "each step attends to all in Keras, and torch's mask hides some", "None"),
    ):
        edit = {"path": path, "arguments": {"attn_mask": value, "is_causal": False}}
        yield Variant("causal_attention", says, f"attn_mask={fix}", "causal_attention", (edit,))


def of_resizing(own: Mapping[str, Any], edit: dict[str, Any], name: str) -> Iterator[Variant]:
    """Which pixels an image of another size is made of: Keras's interpolation, and each other way to do it."""
    key, mode = "set" if "path" in edit else "keywords", own.get("interpolation", "nearest")
    ways: list[tuple[dict[str, Any], str, str, str | None]]
    if mode == "nearest":
        ways = [
            ({"mode": "nearest", "align_corners": None}, "interpolation", "Keras takes the nearest pixel", None),
            ({"mode": "nearest-exact", "align_corners": None}, "interpolation",
             "Keras takes the pixel whose middle is nearest", "resize_nearest"),
        ]  # fmt: skip
    else:
        wide = "widens its kernel where an image gets smaller"
        more = f"Keras {wide}", "resize_antialias"
        if mode == "bicubic":
            more = "Keras's bicubic kernel is of a = -0.5, as torch's with antialias", "resize_bicubic"
        there: dict[str, Any] = {"mode": mode, "align_corners": False}
        ways = [
            ({"align_corners": False}, "resize_align_corners", "Keras lays pixels' areas on each other, not corners",
             "resize_align_corners"),
            ({"antialias": True}, more[1], more[0], more[1]),
            ({"antialias": False}, "resize_antialias", f"Keras never {wide}", "resize_antialias"),
            (there, "interpolation", f"Keras's interpolation is {mode!r}", None),
            ({**there, "antialias": True}, "interpolation", f"Keras's interpolation is {mode!r}, and it {wide}", None),
        ]  # fmt: skip
    for changed, cause, says, entry in ways:
        fix = f"{name}(..., {', '.join(f'{n}={v!r}' for n, v in changed.items() if v is not None)})"
        yield Variant(cause, f"{says}; torch's {name} does otherwise", fix, entry, ({**edit, key: changed},))


def of_gelu(is_now: str, edit: dict[str, Any], name: str) -> Variant:
    """The other approximation of GELU."""
    then = APPROXIMATIONS[is_now]
    exact = {"none": "the exact GELU", "tanh": "the approximation by tanh"}
    says = f"torch's {name} is {exact[is_now]}, Keras's {exact[then]}"
    key = "set" if "path" in edit else "keywords"
    fix = f'{name}(approximate="{then}")'
    return Variant("gelu_approximation", says, fix, "gelu_approximation", ({**edit, key: {"approximate": then}},))


def of_window(part: Part) -> Iterator[Variant]:
    """What slides: padded as Keras pads, by hand; and what a transposed convolution cuts off."""
    keras, torch = part.keras, part.torch
    assert torch is not None
    own = {} if keras is None else keras.settings
    padding = own.get("padding")
    if padding not in ("same", "valid", "causal") or "padding" not in torch.settings or not part.call.inputs:
        return
    size = part.call.inputs[0][2:]
    count = len(size)
    kernel = several(own.get("kernel_size", own.get("pool_size", 1)), count)
    strides, dilation = several(own.get("strides") or kernel, count), several(own.get("dilation_rate", 1), count)
    if "Transpose" in torch.kind:
        if padding == "same":
            # The whole is (n - 1) s + k long, of which Keras keeps n s, and cuts the larger half off the end.
            starts = [max(k - s, 0) // 2 for k, s in zip(kernel, strides, strict=True)]
            spans = [[a, a + n * s] for a, n, s in zip(starts, size, strides, strict=True)]
            none = [0] * count
            cropped = {"path": torch.path, "set": {"padding": none, "output_padding": none}, "crop": spans}
            cut = ", ".join(f"{a}:{b}" for a, b in spans)
            says = "torch's transposed convolution cuts off other rows and columns than Keras's padding=\"same\""
            fix = f"{torch.kind}(..., padding=0, output_padding=0)(x)[..., {cut}]"
            yield Variant("conv_transpose_same", says, fix, "conv_transpose_same", (cropped,))
        return
    if "dilation" in torch.settings and dilation != several(torch.settings["dilation"], count):
        says = f"the dilation is {dilation} in Keras, {several(torch.settings['dilation'], count)} in torch"
        again: Edit = {"path": torch.path, "set": {"dilation": dilation}}
        yield Variant("dilation", says, f"{torch.kind}(..., dilation={tuple(dilation)})", None, (again,))
    pads = (keras and borders(keras, size)) or [(0, 0)] * count
    if len(part.around) == count:
        pads = [(a + c, b + d) for (a, b), (c, d) in zip(pads, part.around, strict=True)]
    flat = [int(n) for pair in reversed(pads) for n in pair]
    fill = -1e300 if "MaxPool" in torch.kind else 0.0
    edit: Edit = {"path": torch.path, "set": {"padding": [0] * count}, "pad": flat, "fill": fill}
    even = "same_padding_even_kernel" if any(k % 2 == 0 for k in kernel) else None
    same = "same_padding_stride" if max(strides) > 1 else even
    entry = {"same": same, "causal": "causal_padding"}.get("same" if part.around else padding)
    alike = len(set(pads)) == 1 < count
    ends = ", ".join(f"{a} before and {b} after" for a, b in pads[: 1 if alike else None]) + " on each axis" * alike
    says = f"Keras pads {ends}; torch's layer does otherwise"
    value = ', value=float("-inf")' if fill else ""
    fix = f"F.pad(x, {tuple(flat)}{value}), then {torch.kind}(..., padding=0)"
    yield Variant(entry or "padding", says, fix, entry, (edit,))


def borders(layer: Layer, size: Sequence[int]) -> list[tuple[int, int]] | None:
    """What a layer of Keras's that slides puts before and after each axis of a map; None where it has no such thing."""
    padding, own, count = layer.settings.get("padding"), layer.settings, len(size)
    if padding not in ("same", "valid", "causal") or "Transpose" in layer.kind or not count:
        return None
    kernel = several(own.get("kernel_size", own.get("pool_size", 1)), count)
    strides, dilation = several(own.get("strides") or kernel, count), several(own.get("dilation_rate", 1), count)
    every = zip(size, kernel, strides, dilation, strict=True)
    return [keras_pads(padding, n, k, s, d) for n, k, s, d in every]


def keras_pads(padding: str, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """How much is padded before and after: of "same" what the output's size needs, an odd one after."""
    reach = dilation * (kernel - 1)
    if padding == "causal":
        return reach, 0
    if padding == "valid":
        return 0, 0
    whole = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
    return whole // 2, whole - whole // 2
