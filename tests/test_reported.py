"""22 pairs of models, rebuilt from public reports of ports that came out differently: where they part, and why.

Each folder of tests/reported has both sides, a port as reported and one that is right.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from parity.ports.check import Request, checked

FOLDER = Path(__file__).with_name("reported")


@dataclass(frozen=True)
class Reported:
    """What the check is to say of a port as reported, level, first stage and causes; and where it was reported."""

    level: str
    stage: str
    causes: tuple[str, ...]
    source: str


REPORTED = {
    "01_mse_broadcast": Reported("loss", "loss", ("loss_shapes",), "PyTorch forum 160720; pytorch/pytorch#18722"),
    "02_double_softmax": Reported("loss", "loss", ("double_softmax",), "PyTorch forum 181932"),
    "03_flatten_order": Reported("forward", "dense ~ head", ("flatten_order",), "PyTorch forum 184306"),
    "04_same_padding_stride_2": Reported(
        "forward", "conv2d ~ 0", ("same_padding_stride",),
        "keras-team/keras#19291; benchopt/benchmark_resnet_classif#30",
    ),
    "05_batchnorm_epsilon_small_variance": Reported(
        "forward", "batch_normalization ~ 1", ("epsilon",), "ArtemBoyarintsev/MachineLearningTools, porting DroNet"
    ),
    "07_lstm_two_biases": Reported(
        "optimizer step", "sequential/lstm/lstm_cell/bias ~ lstm.bias_ih_l0 + lstm.bias_hh_l0", ("two_biases",),
        "PyTorch forum 110741; StackOverflow 48361376",
    ),
    "08_gru_gate_order": Reported(
        "weights", "sequential/gru/gru_cell/kernel ~ gru.weight_ih_l0", ("gru_gate_order",),
        "keras-team/keras#15915, #8720",
    ),
    "11_lstm_batch_first": Reported(
        "forward", "lstm ~ getitem", ("lstm_batch_first", "two_biases"), "PyTorch forum 61598"
    ),
    "14_rmsprop_large_epsilon": Reported(
        "optimizer step", "sequential/dense/kernel ~ 0.weight", ("epsilon_position",),
        "pytorch/pytorch#23796; DLR-RM/stable-baselines3#110",
    ),
    "16_l2_regularizer_is_weight_decay": Reported(
        "loss", "loss", ("l2_regularizer_is_weight_decay",), "benchopt/benchmark_resnet_classif#30"
    ),
    "17_class_weights_normalised": Reported(
        "loss", "loss", ("class_weights_mean",), "PyTorch forum 78256; pytorch/pytorch#54843"
    ),
    "19_conv_transpose_same": Reported(
        "forward", "conv2d_transpose ~ 0", ("conv_transpose_same",),
        "keras-team/keras#22876; gmalivenko/pytorch2keras#7",
    ),
    "20_avg_pool_counts_padding": Reported(
        "forward", "average_pooling2d ~ 2", ("avg_pool_counts_padding",),
        "apache/mxnet#10194; gmalivenko/pytorch2keras#2",
    ),
    "22_depthwise_kernel_layout": Reported(
        "weights", "sequential/depthwise_conv2d/kernel ~ 0.weight", ("depthwise_kernel_layout",),
        "huggingface/transformers#18597; AlexanderLutsenko/nobuco#2",
    ),
    "24_layer_norm_epsilon": Reported(
        "forward", "layer_normalization ~ 2", ("epsilon",), "huggingface/transformers#15332"
    ),
    "25_attention_head_layout": Reported(
        "weights", "multi_head_attention/query/kernel ~ attention.in_proj_weight", ("attention_head_layout",),
        "keras-team/keras#18373, #18488",
    ),
    "27_gelu_tanh": Reported(
        "forward", "dense/gelu ~ 1", ("gelu_approximation",), "CyberZHG/keras-bert#129; AlexanderLutsenko/nobuco#9"
    ),
    "29_mask_zero_ignored": Reported(
        "forward", "lstm ~ getitem", ("mask_zero_last_step", "two_biases"), "kermitt2/delft#231; onnx/keras-onnx#386"
    ),
    "33_decay_per_batch": Reported("steps", "loss of step 2", ("schedule",), "StackOverflow, on Keras's decay"),
    "35_eval_forgotten": Reported(
        "predict", "output", ("train_or_eval_mode",), "yongxuUSTC/sednn#41; StackOverflow 69294892"
    ),
    "38_lstm_bce_as_reported": Reported(
        "forward", "lstm ~ getitem",
        ("lstm_batch_first", "another_function", "two_biases", "epsilon", "epsilon_position", "rows"),
        "PyTorch forum 61598",
    ),
}  # fmt: skip
# Nothing is wrong with it: the control.
CONTROL = "36_rounding_alone"
# What runs always, and on CI; the others take minutes together.
ALWAYS = {"03_flatten_order"}
CI = {"01_mse_broadcast", "14_rmsprop_large_epsilon", "29_mask_zero_ignored", "38_lstm_bce_as_reported"}


def marked(names):
    marks = {name: [] if name in ALWAYS else [pytest.mark.ci if name in CI else pytest.mark.slow] for name in names}
    return [pytest.param(name, marks=found) for name, found in marks.items()]


def report_of(name, right, workers, folder):
    """The report on a port as reported, or on the right one."""
    own = FOLDER / name
    keras = own / "keras_right.py" if right and (own / "keras_right.py").exists() else own / "keras_side.py"
    torch = own / ("torch_right.py" if right else "torch_side.py")
    return checked(Request(str(keras), str(torch), data=str(own / "data.py")), workers, folder / "out")


def test_every_report_has_its_files():
    assert {path.name for path in FOLDER.iterdir()} == {*REPORTED, CONTROL}
    assert {*REPORTED} >= ALWAYS | CI


@pytest.mark.parametrize("name", marked(REPORTED))
def test_a_port_as_reported_is_explained(name, own_workers, tmp_path):
    report, expected = report_of(name, False, own_workers, tmp_path), REPORTED[name]
    assert report.verdict == "mismatch", str(report)
    assert (report.first_divergence.level, report.first_divergence.name) == (expected.level, expected.stage), str(
        report
    )
    assert tuple(cause.name for cause in report.causes) == expected.causes, str(report)


@pytest.mark.parametrize("name", marked([*REPORTED, CONTROL]))
def test_a_right_port_is_parity_and_has_no_cause(name, own_workers, tmp_path):
    report = report_of(name, True, own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert report.causes == ()


@pytest.mark.slow
def test_without_a_fault_the_sides_are_the_same(own_workers, tmp_path):
    report = report_of(CONTROL, False, own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert report.causes == ()
