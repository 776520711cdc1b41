"""What a loss computes, from its value and its gradient alone: the formula as it was written, or nothing."""

from dataclasses import replace

import numpy as np
import pytest
from test_own_causes import judged
from training_faults import PLAIN, Port, losses

from parity.causes.loss_formulas import BY_ELEMENT, BY_ROW, another, formula
from parity.causes.losses import Value


def given(seed):
    """Results and targets that every formula takes."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 0.8, (16, 3)), rng.uniform(0.1, 0.9, (16, 3))


def of_torch(code, outputs, targets):
    """The loss that torch makes of a formula."""
    import torch
    from torch.nn import functional as F  # noqa: N812

    results = torch.tensor(outputs, requires_grad=True)
    cost = eval(code, {"torch": torch, "F": F, "outputs": results, "targets": torch.tensor(targets)})
    cost.backward()
    return Value(np.array(cost.item()), {"": results.grad.numpy()}, 1e-17, {"": 1e-17})


def ends(code):
    """The reductions that there are of a formula."""
    return [f"{code}.mean()", f"{code}.sum()", f"-{code}.mean()", f"2.5 * {code}.mean()", f"0.75 + {code}.mean()"]


@pytest.mark.parametrize("code", [end for code in (*BY_ELEMENT, *BY_ROW) for end in ends(code)])
def test_a_loss_is_told_as_torch_writes_it(code):
    for seed in range(2):
        outputs, targets = given(seed)
        value = of_torch(code, outputs, targets)
        told = formula(outputs, targets, value)
        # Another formula may be the same one; what is told gives the same.
        again = of_torch(told, outputs, targets)
        np.testing.assert_allclose(again.loss, value.loss, rtol=1e-7)
        np.testing.assert_allclose(again.gradients[""], value.gradients[""], rtol=1e-7, atol=1e-14)


@pytest.mark.parametrize(
    "code",
    ["(outputs - targets).square().mean().sqrt()", "(outputs - targets).square().sum(-1).mean()",
     "(outputs - targets).square().mean() + 0.1 * (outputs - targets).abs().mean()"],
)  # fmt: skip
def test_roots_sums_of_rows_and_two_terms(code):
    outputs, targets = given(3)
    assert formula(outputs, targets, of_torch(code, outputs, targets)) == code


@pytest.mark.parametrize(
    "code",
    ["(outputs - targets).abs().pow(3).mean()", "(outputs - targets - 0.1).square().mean()",
     "((outputs - targets).square() * torch.linspace(0, 2, 16)[:, None]).mean()", "(outputs - targets).square().max()",
     "(outputs * 1.001 - targets).square().mean()", "(1 + (outputs - targets).square().mean()).log()"],
)  # fmt: skip
def test_of_another_loss_nothing_is_told(code):
    outputs, targets = given(4)
    assert formula(outputs, targets, of_torch(code, outputs, targets)) is None


def test_two_losses_that_are_one_are_no_cause():
    outputs, targets = given(5)
    value = of_torch("F.mse_loss(outputs, targets)", outputs, targets)
    assert another(outputs, targets, value, value, (None, None)) is None


LOSSES = {
    "a root": ("keras.losses.MeanSquaredError()(targets, outputs)", "F.mse_loss(outputs, targets).sqrt()",
               "(outputs - targets).square().mean(), torch's (outputs - targets).square().mean().sqrt()"),
    "log-cosh": ("keras.losses.LogCosh()(targets, outputs)", "F.mse_loss(outputs, targets)",
                 "(outputs - targets).cosh().log().mean(), torch's (outputs - targets).square().mean()"),
    "two terms": ("keras.ops.mean(keras.ops.abs(targets - outputs))",
                  "F.l1_loss(outputs, targets) + 0.5 * F.mse_loss(outputs, targets)",
                  "(outputs - targets).abs().mean(), torch's 0.5 * (outputs - targets).square().mean() + "),
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "a root" else pytest.mark.slow) for n in LOSSES])
def test_both_losses_are_told(name, own_workers, tmp_path):
    keras, torch, told = LOSSES[name]
    report = judged(Port(replace(PLAIN, loss=losses(keras, torch)), ()), own_workers, tmp_path)
    assert [cause.name for cause in report.causes] == ["another_loss"], str(report)
    assert told in report.causes[0].says
