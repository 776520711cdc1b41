"""Why a port's training goes wrong: causes are named, two at once too, and none where nothing known explains it."""

import numpy as np
import pytest
from training_faults import NAMED, RIGHT, TWO, UNKNOWN, Port

from parity.causes import given, losses, words
from parity.differences import DIFFERENCES
from parity.ports.check import Request, checked

# Of each kind, what runs always, and what CI runs; the others take minutes.
ALWAYS = {"all pairs", "L2", "cube", "SGD"}
CI = {
    "moving statistics",
    "two softmaxes",
    "class weights",
    "AdamW",
    "schedule",
    "no zero_grad",
    "clipping all",
    "signs",
    "momentum and a bias",
}


def judged(port, workers, folder):
    paths = port.pair.write(folder / "pair")
    for side, edits in (("keras", port.keras), ("torch", port.torch)):
        text = paths[side].read_text()
        for old, new in edits:
            assert text.count(old) == 1, (old, text)
            text = text.replace(old, new)
        paths[side].write_text(text)
    sources = str(paths["keras"]), str(paths["torch"])
    return checked(Request(*sources, data=str(paths["data"])), workers, folder / "out")


def marked(names):
    marks = {name: [] if name in ALWAYS else [pytest.mark.ci if name in CI else pytest.mark.slow] for name in names}
    return [pytest.param(name, marks=found) for name, found in marks.items()]


def test_every_known_difference_that_is_named_is_one():
    calls = {"name": "kl_div", "place": "a.py:1", "weighted": True, "shapes": []}
    calls["settings"] = {"reduction": "mean", "log_target": False, "beta": 1.0, "ignore_index": -100}
    ours = {**calls, "name": "Huber", "settings": {"reduction": "sum", "from_logits": True, "delta": 2.0}}
    entries = {option.cause.entry for option in losses.options([ours], [calls])}
    entries |= {option.cause.entry for option in losses.options([], [{**calls, "name": "nll_loss"}])}
    entries |= {entry for by_method in words.ENTRIES.values() for entry in by_method.values()}
    entries |= {words.of_gradients(kind, 2.0, (None, None), True).entry for kind in ("penalty", "added up")}
    entries |= {
        words.of_rates([1.0, 0.5], [1.0, 1.0], (None, None)).entry,
        words.of_clip(None, None, (None, None)).entry,
    }
    entries |= {words.of_weight("two", "a", "b", None).entry, given.of_mode("torch").entry}
    x = np.random.default_rng(0).normal(size=(4, 3, 3))
    for y in (x.astype("f4").astype("f8"), x[:, ::-1], x.swapaxes(1, 2), 2 * x, x * [[[1.0, 2.0, 3.0]]]):
        cause = given.of_inputs(x, y)
        assert cause is not None
        entries.add(cause.entry)
    assert entries - {None} <= set(DIFFERENCES)
    assert len(entries) > 15


@pytest.mark.parametrize("name", marked(NAMED))
def test_the_causes_are_named(name, own_workers, tmp_path):
    report = judged(NAMED[name], own_workers, tmp_path)
    assert sorted(cause.name for cause in report.causes) == sorted(NAMED[name].causes), str(report)
    assert f"cause: {report.causes[0].says}" in str(report)


@pytest.mark.parametrize("name", marked(TWO))
def test_two_causes_at_once_are_told_apart(name, own_workers, tmp_path):
    """At least none is claimed that is not there; 9 of 10 pairs are named whole."""
    report = judged(TWO[name], own_workers, tmp_path)
    assert {cause.name for cause in report.causes} == {*TWO[name].causes}, str(report)


@pytest.mark.parametrize("name", marked(UNKNOWN))
def test_nothing_is_claimed_without_a_replay_that_agrees(name, own_workers, tmp_path):
    report = judged(UNKNOWN[name], own_workers, tmp_path)
    assert report.verdict == "mismatch", str(report)
    assert report.causes == ()
    assert report.excluded
    assert "no cause found" in str(report)


@pytest.mark.parametrize("name", marked(RIGHT))
def test_a_right_port_has_no_cause(name, own_workers, tmp_path):
    report = judged(Port(RIGHT[name], ()), own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert (report.causes, report.excluded) == ((), ())
