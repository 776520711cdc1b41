"""Public models that no one here wrote, in two frameworks: which layer is which, by structure alone."""

import pytest

from parity.models.described import Model
from parity.pairing.items import Side
from parity.pairing.rules import pair
from parity.ports import recording
from parity.ports.job import InputsJob, OpenJob

KERAS = """
import keras

def build():
    return keras.applications.{}(weights=None, input_shape=({size}, {size}, 3))
"""
TORCH = """
import torchvision

def build():
    return torchvision.models.{}(weights=None{options})

def inputs(x):
    import torch
    return torch.as_tensor(x).permute(0, 3, 1, 2)
"""
# Layers with weights that both sides have, and one pair of a block whose order differs between the two.
MODELS = {
    "ResNet50": ("resnet50", 64, "", 107, ("conv2_block1_0_conv", "layer1.0.downsample.0")),
    "DenseNet121": ("densenet121", 64, "", 242, ("conv5_block16_2_conv", "features.denseblock4.denselayer16.conv2")),
    "MobileNetV2": ("mobilenet_v2", 64, "", 105, ("block_16_project_BN", "features.17.conv.3")),
    "InceptionV3": (
        "inception_v3",
        96,
        ", aux_logits=False, init_weights=False",
        189,
        ("conv2d", "Conv2d_1a_3x3.conv"),
    ),
}


def opened(workers, name, folder):
    """Both models with what their calls read, and the tensors that functions made."""
    torch_name, size, options, *_ = MODELS[name]
    (folder / "k.py").write_text(KERAS.format(name, size=size))
    (folder / "t.py").write_text(TORCH.format(torch_name, options=options))
    workers["tf"].run(InputsJob(folder / "in", shapes={"": (2, size, size, 3)}), lambda *_: None)
    found = []
    for side, source in (("tf", "k"), ("torch", "t")):
        workers[side].run(OpenJob(str(folder / f"{source}.py"), folder / "in", folder / source), lambda *_: None)
        found.append(recording.load_opened(folder / source)[0])
    return found


def read_alike(pairing, models: list[Model], made) -> bool:
    """Whether each layer with weights reads from the partners of those that its partner reads from."""
    sides = [Side(model, calls) for model, calls in zip(models, made, strict=True)]
    at = [{item.layer.path: item for item in side.weighted} for side in sides]
    partner = {p.keras: p.torch for p in pairing.pairs if p.links}

    def sources(side, path):
        return {sides[side].items[p].layer.path for p in sides[side].before[at[side][path].position] or ()}

    return all({partner[path] for path in sources(0, own)} == sources(1, other) for own, other in partner.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_has_its_partner(name, own_workers, tmp_path):
    sides = opened(own_workers, name, tmp_path)
    made = [{c.name: c.reads for c in side.calls if c.layer is None or c.number} for side in sides]
    models = [side.model for side in sides]
    pairing = pair(*models, made_of=(made[0], made[1]))
    assert pairing.unpaired == {"keras": (), "torch": ()}
    assert not any(p.guess for p in pairing.pairs)
    with_weights = [p for p in pairing.pairs if p.links]
    assert len(with_weights) == MODELS[name][3]
    assert MODELS[name][4] in {(p.keras, p.torch) for p in with_weights}
    assert read_alike(pairing, models, made)
