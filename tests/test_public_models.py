"""Models that no one here wrote: keras.applications against torchvision, with random weights."""

import pytest
from own_pairs import IMAGES

from parity.ports.check import Request, checked
from parity.ports.findings import LEVELS

KERAS = "import keras\n\n\ndef build():\n    return keras.applications.{}\n"
TORCH = "import torch\nimport torchvision\n\n\ndef build():\n    return torchvision.models.{}\n\n\n" + IMAGES
SMALL = "(weights=None, input_shape=({0}, {0}, 3), classes=10, classifier_activation=None)"
EQUAL = (
    "\n\ndef equal():\n    model = build()\n    for layer in model.modules():\n"
    "        if isinstance(layer, torch.nn.BatchNorm2d):\n            layer.eps = 1.001e-5\n    return model\n"
)
# One step of training: Keras's momentum of 0.99 is torch's 0.01.
TRAINED = (
    "\n\ndef loss(targets, outputs):\n"
    "    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(targets, outputs)\n\n\n"
    "def optimizer():\n    return keras.optimizers.SGD(0.01, momentum=0.9)\n",
    "\n\ndef loss(outputs, targets):\n    return torch.nn.functional.cross_entropy(outputs, targets)\n\n\n"
    "def optimizer(parameters):\n    return torch.optim.SGD(parameters, 0.01, momentum=0.9)\n",
)
DATA = (
    "def data(rng, n):\n    return rng.normal(size=(n, {0}, {0}, 3)).astype('float32'), rng.integers(0, 10, size=n)\n"
)


def compared(keras, torch, build, own_workers, folder, steps=0, size=64, samples=2):
    folder.mkdir(exist_ok=True)
    training = TRAINED if steps else ("", "")
    equal = EQUAL.replace("layer.eps = 1.001e-5", "layer.eps, layer.momentum = 1.001e-5, 0.01")
    (folder / "my_keras.py").write_text(KERAS.format(keras + SMALL.format(size)) + training[0])
    (folder / "my_torch.py").write_text(TORCH.format(torch + "(num_classes=10)") + equal + training[1])
    (folder / "data.py").write_text(DATA.format(size))
    sides = str(folder / "my_keras.py"), f"{folder / 'my_torch.py'}:{build}"
    return checked(
        Request(*sides, data=str(folder / "data.py"), samples=samples, steps=steps), own_workers, folder / "out"
    )


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
    assert [(cause.name, cause.entry) for cause in report.causes] == [("epsilon", "batchnorm_epsilon")]
    assert "in 121 layers" in report.causes[0].says
    report = compared("DenseNet121", "densenet121", "equal", own_workers, tmp_path / "equal")
    assert report.verdict == "parity", str(report)
    assert sum(finding.level == "forward" for finding in report.findings) > 400


@pytest.mark.slow
def test_a_step_of_densenet(own_workers, tmp_path):
    """Trained once, all is the same but the variance that torch keeps: it is the unbiased one."""
    pytest.importorskip("torchvision")
    report = compared("DenseNet121", "densenet121", "equal", own_workers, tmp_path, steps=1)
    assert report.first_divergence is not None
    assert report.first_divergence.level == "buffers", str(report)
    failed = {level: [f.name for f in report.findings if f.level == level and f.result == "failed"] for level in LEVELS}
    assert all("moving_variance" in name for level in ("buffers", "optimizer step") for name in failed[level]), failed
    assert len(failed["buffers"]) == len(failed["optimizer step"]) == 121
    passing = ("weights", "forward", "training forward", "loss", "backward", "steps")
    assert not any(failed[level] for level in passing), failed


@pytest.mark.slow
def test_mobilenet(own_workers, tmp_path):
    """Where stride 2 is padded: Keras at the end alone. torchvision's ReLUs work in place."""
    pytest.importorskip("torchvision")
    report = compared("MobileNetV2", "mobilenet_v2", "build", own_workers, tmp_path)
    assert report.first_divergence is not None
    assert report.first_divergence.name == "Conv1 ~ features.0.0", str(report)
    assert [cause.name for cause in report.causes] == ["same_padding_stride", "epsilon"], str(report)


@pytest.mark.slow
def test_resnet(own_workers, tmp_path):
    """Two architectures by one name: epsilon, the convolution of a block that has the stride, and biases."""
    pytest.importorskip("torchvision")
    report = compared("ResNet50", "resnet50", "build", own_workers, tmp_path)
    assert [cause.entry for cause in report.causes] == ["batchnorm_epsilon", "stride_position"], str(report)
    assert "in 50 layers" in report.causes[0].says
    assert "in 3 layers" in report.causes[1].says
    assert report.excluded == ()
    assert "and 52 more: torch has no bias there; it is 0 everywhere" in str(report)


@pytest.mark.slow
def test_vgg(own_workers, tmp_path):
    """The order in which a feature map is flattened, and how to turn the columns."""
    pytest.importorskip("torchvision")
    report = compared("VGG16", "vgg16", "build", own_workers, tmp_path, size=224, samples=1)
    assert report.first_divergence is not None
    assert (report.first_divergence.level, report.first_divergence.name) == ("forward", "fc1 ~ classifier.0"), str(
        report
    )
    assert [cause.name for cause in report.causes] == ["flatten_order"], str(report)
    assert ".transpose(0, 3, 1, 2)" in report.causes[0].fix
