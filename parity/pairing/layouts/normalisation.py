"""Normalisations, and PReLU: vectors of one number for each channel, in either framework."""

from parity.pairing.layouts.form import Reading, row, spot


def norm(form: str, scale: str, shift: str, **others: str) -> Reading:
    """A norm whose scale and shift have these roles; both may be missing."""
    roles = {"scale": scale, "shift": shift, **others}
    return Reading(form, {tensor: spot(role, "{c}") for tensor, role in roles.items()})


def batch(scale: str, shift: str, mean: str, variance: str) -> Reading:
    """Batch norm, with its running statistics."""
    return norm("batch_norm", scale, shift, mean=mean, variance=variance)


KERAS_BATCH = batch("gamma", "beta", "moving_mean", "moving_variance")
TORCH_BATCH = batch("weight", "bias", "running_mean", "running_var")
# Over a whole feature map, which torch holds with its channels first.
KERAS_MAP = Reading("map_norm", {"scale": spot("gamma", "h w c"), "shift": spot("beta", "h w c")})
TORCH_MAP = Reading("map_norm", {"scale": spot("weight", "c h w"), "shift": spot("bias", "c h w")})

KERAS = {
    "BatchNormalization": row(KERAS_BATCH),
    "LayerNormalization": row(KERAS_MAP, norm("layer_norm", "gamma", "beta")),
    "GroupNormalization": row(norm("group_norm", "gamma", "beta")),
    "RMSNormalization": row(Reading("rms_norm", {"scale": spot("scale", "{c}")})),
    # Its shape has ones where axes share their slope.
    "PReLU": row(Reading("prelu", {"slope": spot("alpha", "{c}")})),
}
TORCH = {
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"), row(TORCH_BATCH)),
    "LayerNorm": row(TORCH_MAP, norm("layer_norm", "weight", "bias")),
    # An instance norm is a group norm of one channel a group.
    **dict.fromkeys(
        ("GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), row(norm("group_norm", "weight", "bias"))
    ),
    "RMSNorm": row(Reading("rms_norm", {"scale": spot("weight", "{c}")})),
    "PReLU": row(Reading("prelu", {"slope": spot("weight", "{c}")})),
}
