"""Models that no one here wrote: keras.applications against torchvision, with random weights."""

import pytest
from own_pairs import IMAGES

from parity.ports.check import Request, checked

KERAS = "import keras\n\n\ndef build():\n    return keras.applications.{}\n"
TORCH = "import torch\nimport torchvision\n\n\ndef build():\n    return torchvision.models.{}\n\n\n" + IMAGES
SMALL = "(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)"
EQUAL = (
    "\n\ndef equal():\n    model = build()\n    for layer in model.modules():\n"
    "        if isinstance(layer, torch.nn.BatchNorm2d):\n            layer.eps = 1.001e-5\n    return model\n"
)


def compared(keras, torch, build, own_workers, folder):
    folder.mkdir(exist_ok=True)
    (folder / "my_keras.py").write_text(KERAS.format(keras + SMALL))
    (folder / "my_torch.py").write_text(TORCH.format(torch + "(num_classes=10)") + EQUAL)
    sides = str(folder / "my_keras.py"), f"{folder / 'my_torch.py'}:{build}"
    return checked(Request(*sides, shapes={"image": (2, 64, 64, 3)}), own_workers, folder / "out")


@pytest.mark.ci
def test_densenet(own_workers, tmp_path):
    """Its batch norms' epsilons are 1.001e-5 and 1e-5, which shows in the ninth digit; nothing else differs."""
    pytest.importorskip("torchvision")
    report = compared("DenseNet121", "densenet121", "build", own_workers, tmp_path / "stock")
    assert report.first_divergence is not None
    assert report.first_divergence.level == "forward"
    assert report.first_divergence.name == "conv1_bn ~ features.norm0", str(report)
    alone = [finding.name for finding in report.alone if finding.result == "failed"]
    assert len(alone) == 121
    assert all("bn ~" in name for name in alone)
    report = compared("DenseNet121", "densenet121", "equal", own_workers, tmp_path / "equal")
    assert report.verdict == "parity", str(report)
    assert sum(finding.level == "forward" for finding in report.findings) > 400


@pytest.mark.ci
def test_mobilenet(own_workers, tmp_path):
    """Where stride 2 is padded: Keras at the end alone. torchvision's ReLUs work in place."""
    pytest.importorskip("torchvision")
    report = compared("MobileNetV2", "mobilenet_v2", "build", own_workers, tmp_path)
    assert report.first_divergence is not None
    assert report.first_divergence.name == "Conv1 ~ features.0.0", str(report)
