"""Digits as words: the tokens, sums of embeddings in both frameworks, and SparseAdam, which moves what was named."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import shortened

from parity.bounds.nodes import embedding
from parity.data import digits
from parity.data.datasets import load
from parity.errors import IncomparableError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.nodes import Activation, Dense, Embedding
from parity.experiment.optimizers import Clipping
from parity.experiment.requested import chosen_optimizer, initializer, with_initializer
from parity.steps.layout import check_step, step_shapes
from parity.verdict import judge

TABLE = "embedding_1/table"


def named_rows(side, first, last):
    """[392]: which words occur in the batches of steps first to last - 1 of an unshuffled run."""
    tokens = load("digit_tokens", None, "float32").train_inputs
    size = side.manifest.identity.schedule.batch_size
    return np.isin(np.arange(392), tokens[first * size : last * size])


def unshuffled(steps, **changes):
    schedule = replace(EXPERIMENTS["mnist_tokens"].identity.schedule, duration=steps, unit="steps", shuffle=False)
    return shortened("mnist_tokens", steps, **({"schedule": schedule} | changes))


def test_a_token_is_its_patch_and_its_ink():
    """Counted pixel by pixel, on the first real digits."""
    images = digits.load(None).train_images[:20]
    tokens = digits.tokens(images)
    assert (tokens.shape, tokens.dtype) == ((20, 49), np.int64)
    for image, words in zip(images.reshape(-1, 28, 28).tolist(), tokens.tolist(), strict=True):
        for patch, word in enumerate(words):
            row, column = divmod(patch, 7)
            ink = sum(image[4 * row + y][4 * column + x] > 127 for y in range(4) for x in range(4))
            assert word == 8 * patch + min(ink // 2, 7)


def test_counts_are_the_words_of_each_sample():
    node = Embedding("e", 3, 5, 2, initializer("normal"))
    counted = embedding.counts(node, np.array([[4, 0, 4], [1, 2, 3]]))
    np.testing.assert_array_equal(counted, [[1, 0, 0, 0, 2], [0, 1, 1, 1, 0]])
    np.testing.assert_array_equal(embedding.named(node, np.array([[4, 0, 4]]))[:, 0], [True, False, False, False, True])


def test_sparse_adam_leaves_what_was_not_named(record_pair, tmp_path):
    """In both frameworks, to the bit; and the step is NumPy's, of a gradient summed over a row's uses."""
    pair = record_pair(unshuffled(8), tmp_path, checkpoints=3)
    verdict = judge(*pair)
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
    for side in pair:
        start, end, named = side.state(0), side.state(8), named_rows(side, 0, 8)
        assert 20 < (~named).sum() < 300
        for name in (f"weights/{TABLE}", f"slots/first_moment/{TABLE}", f"slots/second_moment/{TABLE}"):
            np.testing.assert_array_equal(end[name][~named], start[name][~named])
            assert (end[name] != start[name])[named].any(axis=1).mean() > 0.9
        step = side.start("float64")
        g = step[f"gradients/{TABLE}"]
        # m / sqrt(v) of the first step, corrected, with epsilon beside the root of what is not corrected.
        moved = 0.01 * np.sqrt(1e-3) / 0.1 * 0.1 * g / (np.sqrt(1e-3) * np.abs(g) + 1e-8)
        expected = start[f"weights/{TABLE}"].astype(np.float64) - np.where(named_rows(side, 0, 1)[:, None], moved, 0)
        np.testing.assert_allclose(step[f"weights/{TABLE}"], expected, rtol=1e-12)


@pytest.mark.ci
def test_adam_moves_them_on(record_pair, tmp_path):
    """Rows that were named once and then no more: SparseAdam keeps their moments, and Adam lets them decay."""
    pair = record_pair(unshuffled(8, optimizer=chosen_optimizer("adam")), tmp_path, checkpoints=3)
    assert judge(*pair).verdict == "parity"
    for side in pair:
        gone = named_rows(side, 0, 1) & ~named_rows(side, 1, 8)
        before, after = (side.state(step)[f"weights/{TABLE}"][gone] for step in (1, 8))
        assert gone.any()
        assert (before != after).any(axis=1).all()


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(name, marks=pytest.mark.ci if name == "rmsprop" else pytest.mark.slow)
        for name in ("rmsprop", "adam", "sgd:momentum=0.9")
    ],
)
def test_an_embedding_under_other_layers(optimizer, record_pair, tmp_path):
    """Words that occur more than once in a sample, an activation and a layer behind, and gradients that are clipped."""
    small, zeros = initializer("normal:0.1"), initializer("zeros")
    model = (
        replace(EXPERIMENTS["mnist_tokens"].identity.model[0], units=16),
        Activation("tanh_1", "tanh", None),
        Dense("dense_2", 16, 10, small, zeros),
    )
    changes = {"model": model, "optimizer": chosen_optimizer(optimizer), "clipping": Clipping("global_norm", 0.5)}
    verdict = judge(*record_pair(shortened("mnist_tokens", 8, **changes), tmp_path))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


@pytest.mark.ci
def test_recordings_made_apart(record_pair, tmp_path):
    pair = record_pair(shortened("mnist_tokens", 3), tmp_path, exchange=False)
    verdict = judge(*pair)
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
    # A token that no table has is refused before anything computes with it.
    identity, step = pair[0].manifest.identity, dict(pair[0].start("float64"))
    step["inputs"] = np.full_like(step["inputs"], 392)
    with pytest.raises(IncomparableError, match="inputs are not all from 0 to 391"):
        check_step("start", identity, step_shapes(identity), step, "float64")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: replace(i, model=(*i.model, i.model[0])), "two nodes of the model have the same name"),
        (
            lambda i: replace(i, model=(*i.model, replace(i.model[0], name="again"))),
            "an embedding takes tokens, and so stands first in a model",
        ),
        (lambda i: replace(i, model=with_initializer(i.model, initializer("he_normal"))), "is for layers, not for a"),
        (lambda i: replace(i, clipping=Clipping("norm", 1.0)), "sparse gradients, which are not clipped here"),
        (
            lambda i: replace(i, model=EXPERIMENTS["mnist_softmax"].identity.model),
            "sparse_adam takes the sparse gradients of embeddings, and dense_1 has dense ones",
        ),
    ],
)
def test_what_does_not_go_together(change, message):
    with pytest.raises(ValueError, match=message):
        change(EXPERIMENTS["mnist_tokens"].identity)
