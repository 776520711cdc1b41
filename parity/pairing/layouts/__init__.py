"""How each kind of layer holds its weights. To add a kind, add a row to the file of its family."""

from parity.pairing.layouts import attention, convolution, linear, normalisation, recurrent
from parity.pairing.layouts.form import Form, Part, Reading, parts_by

FAMILIES = (linear, convolution, normalisation, recurrent, attention)
KERAS = {kind: row for family in FAMILIES for kind, row in family.KERAS.items()}
TORCH = {kind: row for family in FAMILIES for kind, row in family.TORCH.items()}
KINDS = {"keras": KERAS, "torch": TORCH}

__all__ = ["KERAS", "KINDS", "TORCH", "Form", "Part", "Reading", "parts_by"]
