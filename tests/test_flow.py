"""Gradient norms and dead units at checkpoints: what is recorded, and what is drawn."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from parity.errors import IncomparableError
from parity.experiment.experiments import EXPERIMENTS, mlp
from parity.recordings.recording import FLOW, Recording
from parity.report.figures import draw, lowest_shown
from parity.report.figures import flow as picture_of_flow
from parity.report.figures import pair as picture_of_pair
from parity.worker.gradient_flow import flow


def of_one_layer(function, pre_activations):
    """The flow of a network 2-3-1 whose hidden layer gives these values [batch, 3]."""
    relu = EXPERIMENTS["xor_relu"]
    weights = relu.identity.dense[0].kernel
    identity = replace(relu.identity, model=mlp([2, 3, 1], function, "sigmoid", weights, weights))
    found = {"outputs/dense_1": pre_activations, "outputs/dense_2": np.zeros((len(pre_activations), 1))}
    found |= {"gradients/dense_1/kernel": np.full((2, 3), 2.0), "gradients/dense_2/kernel": np.zeros((3, 1))}
    return flow(identity, relu.tf, {}, found)


@pytest.mark.parametrize(("function", "dead"), [("relu", 1 / 3), ("leaky_relu", 0), ("tanh", 0), ("linear", 0)])
def test_a_unit_is_dead_if_no_sample_reaches_it(function, dead):
    found = of_one_layer(function, np.array([[-1.0, 1.0, -1.0], [-2.0, -1.0, 1e-9]]))
    assert found["dead_units"].tolist() == [pytest.approx(dead), 0]
    assert found["gradient_norm"].tolist() == [pytest.approx(24**0.5), 0]


def test_both_sides_record_the_same_flow(clean_pair):
    ours, theirs = (side.flow() for side in clean_pair)
    first = clean_pair[0].start("float64")
    norms = [np.linalg.norm(first[f"gradients/dense_{layer}/kernel"]) for layer in (1, 2, 3)]
    assert ours["steps"].tolist() == list(clean_pair[0].checkpoints)
    assert ours["gradient_norm"][0] == pytest.approx(norms, rel=1e-12)
    assert ours["gradient_norm"][0] == pytest.approx(theirs["gradient_norm"][0], rel=1e-12)
    assert (ours["dead_units"] == theirs["dead_units"]).all()


def test_it_is_drawn(clean_pair, tmp_path):
    draw(*clean_pair, tmp_path)
    assert (tmp_path / "flow.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {"steps": arrays["steps"]},
        lambda arrays: arrays | {"dead_units": arrays["dead_units"][:, 1:]},
        lambda arrays: arrays | {"gradient_norm": arrays["gradient_norm"].astype(np.float32)},
    ],
)
def test_another_shape_is_refused(change, clean_pair):
    side = clean_pair[0]

    class Changed(type(side)):
        def load(self, name):
            return change(super().load(name)) if name == FLOW else super().load(name)

    changed = Changed(side.folder, side.manifest, side.trace, side.label)
    with pytest.raises(IncomparableError, match=r"flow\.safetensors"):
        changed.flow()


def test_a_few_tiny_costs_do_not_stretch_the_axis(clean_pair):
    costs = np.geomspace(1, 100, 1000)
    assert lowest_shown(costs) is None
    costs[[5, 500]] = 2e-9, 0.0
    assert lowest_shown(costs) == pytest.approx(0.1, rel=0.1)
    assert lowest_shown(np.zeros(3)) is None
    ours, theirs = clean_pair
    cost = theirs.trace["cost"].copy()
    cost[20] = 2e-9
    theirs = replace(theirs, trace=theirs.trace | {"cost": cost})
    above, below = picture_of_pair(ours, theirs, "cost", np.arange(len(cost)), "step", "cost", True).axes
    assert above.get_ylim()[0] > 1e-3
    assert any("less: down to 2e-09" in text.get_text() for text in above.get_legend().get_texts())
    # In parts of the cost, as the text speaks of digits.
    assert below.get_lines()[0].get_ydata()[20] == pytest.approx(1.0)


def test_dead_units_have_a_panel_where_there_are_any(clean_pair):
    ours, theirs = clean_pair

    @dataclass(frozen=True)
    class Alive(Recording):
        def flow(self):
            found = super().flow()
            return found | {"dead_units": np.zeros_like(found["dead_units"])}

    alive = [Alive(side.folder, side.manifest, side.trace, side.label) for side in (ours, theirs)]
    assert ours.flow()["dead_units"].any()
    assert len(picture_of_flow(ours, theirs).axes) == 2
    (only,) = picture_of_flow(*alive).axes
    assert "no unit is dead" in only.get_title()
