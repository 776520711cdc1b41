"""Recurrent layers. Keras keeps (in, gates and units), torch (gates and units, in); torch may hold several levels.

An LSTM's gates stand in one order in both: input, forget, cell, output. A GRU's do not: Keras has update, reset,
candidate; torch has reset, update, candidate. Where Keras has one bias, torch adds two.
"""

from collections.abc import Iterator
from dataclasses import replace

from parity.models.described import Layer
from parity.pairing.layouts.form import Reading, Row, Spot, row, spot
from parity.pairing.views import At

GATES = {"lstm": 4, "gru": 3, "gru_reset_first": 3, "rnn": 1}
# Keras's gates of a GRU in torch's order.
RESET_UPDATE = (1, 0, 2)
FORMS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}


def keras_cell(kind: str, reset_after: bool = True) -> Reading:
    """One layer in one direction. A GRU's reset gate acts after the product, as torch's, or before, which torch lacks.

    After it, the bias is (2, gates and units): that of the input and that of the state, as torch's two.
    """
    form = FORMS[kind]
    at: dict[str, At] = {"g": RESET_UPDATE} if form == "gru" else {}
    tensors = {"kernel": spot("kernel", "i (g u)", **at), "recurrent": spot("recurrent_kernel", "j (g u)", **at)}
    if form == "gru" and reset_after:
        tensors |= {
            "bias": spot("bias", "b (g u)", b=0, **at),
            "recurrent_bias": spot("bias", "b (g u)", b=1, **at),
        }
    else:
        tensors |= {"bias": spot("bias", "(g u)", **at)}
    return Reading(form if reset_after or form != "gru" else "gru_reset_first", tensors, "", {"g": GATES[form]})


def keras_layer(kind: str) -> Row:
    """A layer, or its cell alone."""
    return lambda layer: [keras_cell(kind, layer.settings.get("reset_after", True))]


def of_cell(layer: Layer) -> Iterator[Reading]:
    """A layer that runs one of Keras's own cells; of another one, or of several, nothing is known."""
    cell = layer.settings.get("cell") or {}
    kind = str(cell.get("class_name", "")).removesuffix("Cell")
    if kind in FORMS:
        yield keras_cell(kind, cell["config"].get("reset_after", True))


def bidirectional(layer: Layer) -> Iterator[Reading]:
    """Two layers; the roles of their weights begin with the direction."""
    for direction, name in (("forward", "layer"), ("backward", "backward_layer")):
        inner = layer.settings.get(name) or layer.settings["layer"]
        if inner["class_name"] not in FORMS:
            return
        cell = keras_cell(inner["class_name"], inner["config"].get("reset_after", True))
        tensors = {
            tensor: tuple(Spot(f"{direction}/{s.role}", s.text, s.at) for s in spots)
            for tensor, spots in cell.tensors.items()
        }
        yield replace(cell, tensors=tensors, part=direction)


def torch_cell(form: str, suffix: str, part: str) -> Reading:
    """The weights whose names end in `suffix`: of one level and direction."""
    inputs, states = spot(f"bias_ih{suffix}", "(g u)"), spot(f"bias_hh{suffix}", "(g u)")
    tensors = {
        "kernel": spot(f"weight_ih{suffix}", "(g u) i"),
        "recurrent": spot(f"weight_hh{suffix}", "(g u) j"),
        **({"bias": inputs, "recurrent_bias": states} if form == "gru" else {"bias": inputs + states}),
    }
    return Reading(form, tensors, part, {"g": GATES[form]})


def torch_layer(form: str) -> Row:
    """All levels and directions, in the order in which they run."""

    def readings(layer: Layer) -> Iterator[Reading]:
        for level in range(layer.settings.get("num_layers", 1)):
            for direction in ("", "_reverse") if layer.settings.get("bidirectional") else ("",):
                yield torch_cell(form, f"_l{level}{direction}", f"l{level}{direction}")

    return readings


KERAS: dict[str, Row] = {
    **{kind: keras_layer(kind) for kind in FORMS},
    **{f"{kind}Cell": keras_layer(kind) for kind in FORMS},
    "RNN": of_cell,
    "Bidirectional": bidirectional,
}
TORCH: dict[str, Row] = {
    **{form.upper(): torch_layer(form) for form in ("lstm", "gru", "rnn")},
    **{f"{form.upper()}Cell": row(torch_cell(form, "", "")) for form in ("lstm", "gru", "rnn")},
}
