"""Dropout: one generator in NumPy and on both sides, the frameworks' own classes, a step in NumPy, and parity."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import shortened
from dropped import COUNT, COUNTERS, RATES, cases

from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS, with_dropout
from parity.experiment.nodes import Dropout
from parity.experiment.requested import with_activation, with_hidden_dropout
from parity.experiment.spec import DTYPES, FRAMEWORKS
from parity.verdict import composed, judge, judge_alone

KNOWN_ANSWERS = (
    (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
)


def experiment(steps, rate=0.3, name="mnist_no_batchnorm", **changes):
    """A narrow network with dropout, in batches of 700, the last one of an epoch a smaller one."""
    found = shortened(name, steps, **changes)
    schedule = replace(found.identity.schedule, batch_size=700, drop_last=False)
    model = with_dropout(found.identity.model, rate)
    return replace(found, identity=replace(found.identity, model=model, schedule=schedule))


def failed(verdict):
    return [check for check in verdict.checks if check.result == "failed"]


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """What tests/dropped.py writes, by side."""
    folder = tmp_path_factory.mktemp("dropped")

    def run(side):
        command = [sys.executable, str(Path(__file__).parent / "dropped.py"), side, str(folder / side)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return safetensors.numpy.load_file(folder / side)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FRAMEWORKS, pool.map(run, FRAMEWORKS), strict=True))


def test_known_answers(computed):
    for i, ((counter, key), answer) in enumerate(zip(COUNTERS, KNOWN_ANSWERS, strict=True)):
        found = randomness.philox([np.array([word], np.uint64) for word in counter], key)
        assert [int(word[0]) for word in found] == list(answer)
        for side in FRAMEWORKS:
            assert computed[side][f"philox {i}"].tolist() == list(answer), side


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_stock_classes(dtype, rate, computed):
    """Each side's layer is its framework's own class, bit for bit, if it is given that one's masks."""
    x, _ = cases(dtype)
    kept = {}
    for side, found in computed.items():
        of = {name.removeprefix(f"{dtype} {rate} "): array for name, array in found.items()}
        mask, y = of["mask"], of["stock y"]
        assert abs(mask.mean() - (1 - rate)) < 5 * (rate * (1 - rate) / COUNT) ** 0.5
        for kind in ("y", "gradient"):
            np.testing.assert_array_equal(of[f"own {kind}"], of[f"stock {kind}"], err_msg=f"{side} {kind}")
        assert (y[~mask & np.isfinite(x)] == 0).all()
        # The known difference dropped_infinity.
        infinite = y[~mask & ~np.isfinite(x)]
        assert np.isnan(infinite).all() if side == "torch" else (infinite == 0).all()
        kept[side] = np.where(mask, y, np.nan)
    both = np.isfinite(kept["tf"]) & np.isfinite(kept["torch"])
    # In float64 they scale alike; in float32 their constants may be rounded otherwise.
    rtol = 0 if dtype == "float64" else 3e-7
    np.testing.assert_allclose(kept["tf"][both], kept["torch"][both], rtol=rtol, atol=0)


def test_shares_and_independence():
    """Of every layer, step and unit the share kept is 1 - rate, and of pairs of masks what chance makes equal."""
    identity = replace(EXPERIMENTS["mnist_dropout"].identity, seed=2**64 - 3)
    masks = np.stack([randomness.dropout_mask(identity, step, 50) for step in (0, 1, 2, 2**32)])
    assert masks.shape == (4, 50, 2048)

    def assert_share(values, share, axis):
        deviation = (
            share * (1 - share) / (values.size / np.prod([values.shape[i] for i in np.atleast_1d(axis)]))
        ) ** 0.5
        rest = tuple(i for i in range(values.ndim) if i not in np.atleast_1d(axis))
        assert np.abs(values.mean(axis=rest) - share).max() < 5.5 * deviation

    for axis in (0, 1, 2):
        assert_share(masks, 0.7, axis)
    alike = 0.7**2 + 0.3**2
    assert_share(masks[1:] == masks[:-1], alike, 0)
    assert_share(masks[:, 1:] == masks[:, :-1], alike, 1)
    assert_share(masks[:, :, 1:] == masks[:, :, :-1], alike, 2)
    assert_share(masks[:, :, 512:] == masks[:, :, :-512], alike, 0)
    other = randomness.dropout_mask(replace(identity, seed=2**64 - 4), 0, 50)
    assert_share((other == masks[0])[None], alike, 0)


def test_a_smaller_batch_has_the_first_rows():
    identity = experiment(1).identity
    whole, part = (randomness.dropout_mask(identity, 3, samples) for samples in (700, 13))
    assert (part == whole[:13]).all()
    assert {name: mask.shape for name, mask in randomness.by_node(identity, whole).items()} == {
        "dropout_1": (700, 32), "dropout_2": (700, 32),
    }  # fmt: skip
    assert not randomness.by_node(EXPERIMENTS["mnist_relu"].identity, np.zeros((7, 0), bool))


def test_the_streams_are_pinned():
    """Recordings made with another NumPy must have the same masks."""
    mask = randomness.dropout_mask(experiment(1).identity, 5, 3)
    assert np.packbits(mask).tobytes().hex() == PINNED


PINNED = "f3f7f4c7bd7ddae73f6fa9f3ff94e4e3afbf4ef5ef6d0fc9"


@pytest.fixture(scope="module")
def pair(record_pair, tmp_path_factory):
    """Both sides in float32, with batch normalisation; the seed needs all of its 64 bits."""
    chosen = experiment(7, rate=0.45, name="mnist_batchnorm", seed=2**64 - 3)
    return record_pair(chosen, tmp_path_factory.mktemp("pair"), checkpoints=3)


def test_parity_with_a_partial_batch(pair):
    verdict = judge(*pair)
    assert verdict.verdict == "parity", failed(verdict)
    assert "masks" in {check.name for check in verdict.checks if check.level == "consumed"}
    # The start step as a whole, too.
    assert {check.result for check in composed.checks(*pair)} == {"passed"}
    assert [judge_alone(side).verdict for side in pair] == ["parity"] * 2


@pytest.mark.slow
def test_parity_in_float64(record_pair, tmp_path):
    verdict = judge(*record_pair(experiment(7, dtype="float64"), tmp_path, checkpoints=3))
    assert verdict.verdict == "parity", failed(verdict)


def test_the_masks_are_numpys(pair):
    """At every step of either loop, the smaller batch included, and in the replay of the first."""
    for side in pair:
        identity = side.manifest.identity
        factors = randomness.checksum_weights(700, 64)
        sizes = [700] * 5 + [500, 700]
        masks = [randomness.dropout_mask(identity, step, size) for step, size in enumerate(sizes)]
        expected = [int((mask * factors[: len(mask)]).sum()) for mask in masks]
        assert side.trace["consumed/masks"].tolist() == expected
        start = side.start("float64")
        for name, mask in randomness.by_node(identity, masks[0]).items():
            x, y = start[f"outputs/{name.replace('dropout', 'relu')}"], start[f"outputs/{name}"]
            np.testing.assert_allclose(y, x * mask / 0.55, rtol=4e-16, atol=0)
            delta = start[f"deltas/{name}"]
            np.testing.assert_allclose(
                start[f"deltas/{name.replace('dropout', 'relu')}"], delta * mask / 0.55, rtol=4e-16, atol=0
            )


def test_only_runs_with_dropout_consume_masks():
    for name in ("mnist_dropout", "mnist_relu"):
        identity = EXPERIMENTS[name].identity
        assert ("masks" in identity.consumed) == (name == "mnist_dropout")


def test_another_activation_keeps_the_dropout():
    model = with_dropout(EXPERIMENTS["mnist_batchnorm"].identity.model, 0.3)
    names = [
        "dense_1", "batch_norm_1", "tanh_1", "dropout_1", "dense_2", "batch_norm_2", "tanh_2", "dropout_2", "dense_3",
    ]  # fmt: skip
    assert [node.name for node in with_activation(model, "tanh")] == names
    again = with_hidden_dropout(with_activation(model, "tanh"), 0.5)
    assert [node.name for node in again] == names
    assert {node.rate for node in again if isinstance(node, Dropout)} == {0.5}


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1e-6, 1 - 1e-6, float("nan")])
def test_what_cannot_be(rate):
    with pytest.raises(ValueError, match=f"^dropout_1: rate must be above 0 and below 1, to 16 bits, not {rate}$"):
        Dropout("dropout_1", rate)
