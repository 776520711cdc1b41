"""What rounding may do at worst: sums of terms that round alike, underflow, overflow, decisions, and fewer digits."""

from dataclasses import replace

import numpy as np
import pytest

from parity.bounds import optimizer_formulas
from parity.bounds.measure import Tolerance, worst
from parity.bounds.optimizer_formulas import update
from parity.bounds.precision import Sum, of_step, of_sum
from parity.bounds.running_error import UNIT_ROUNDOFF, Branch, Rounded, exact, smallest_normal
from parity.bounds.stages import tolerance
from parity.bounds.sums import dot_bound, sum_bound
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.spec import Realisation, own_choices

U = UNIT_ROUNDOFF["float32"]
TORCH = Realisation("torch_impl.models:build", **own_choices("torch"))


def philox(key):
    return np.random.Generator(np.random.Philox(key))


def in_sequence(terms):
    """[columns] float32: the terms [n, columns] added one after the other, as TensorFlow's BiasAddGrad does."""
    total = np.zeros(terms.shape[1], np.float32)
    for row in terms.astype(np.float32):
        total += row
    return total


EQUAL = np.full((4000, 8), np.float32(0.1))
TERMS = {
    "equal terms": EQUAL,
    "one of two values": np.where(philox(1).random((4000, 8)) < 0.5, np.float32(0.1), 0),
    # One term of 1, which all others, just under half of its last place, are lost beside.
    "stagnation": np.vstack([np.ones((1, 8)), np.full((783, 8), 2.0**-24 * (1 - 2**-10))]).astype(np.float32),
    "x and -x": np.repeat(philox(2).normal(size=(100, 8)), 2, axis=0).astype(np.float32)
    * np.array([1, -1], np.float32).repeat(8).reshape(2, 8).repeat(100, axis=0).reshape(200, 8),
    "many sizes": (10.0 ** philox(3).uniform(-6, 6, (1000, 8))).astype(np.float32),
    "denormal numbers": np.full((100, 8), np.float32(1e-39)),
    "nothing": np.zeros((100, 8), np.float32),
}


@pytest.mark.parametrize("name", TERMS)
def test_a_sum_is_within_its_bound_in_any_order(name):
    terms = TERMS[name].astype(np.float64)
    bound = sum_bound(terms, U)
    for order in (terms, terms[::-1], philox(4).permutation(terms)):
        off = np.abs(in_sequence(order).astype(np.float64) - terms.sum(axis=0))
        assert (off <= bound).all()
    most = len(terms) * (U * np.abs(terms).sum(axis=0) + smallest_normal(U))
    assert (bound <= (1 + 1e-5) * most).all()


def test_equal_terms_are_beyond_what_independent_errors_add_up_to():
    """What a bound of 3 sqrt(n) u S would call a difference."""
    terms = EQUAL.astype(np.float64)
    off = np.abs(in_sequence(terms) - terms.sum(axis=0))
    assert (off > 3 * np.sqrt(len(terms)) * U * terms.sum(axis=0)).all()


def test_a_product_counts_the_terms_that_are_not_zero():
    a, b = np.zeros((2, 100)), np.ones((100, 3))
    a[1, :7] = 1
    bound = dot_bound(a, b, U, np.ones(3))
    assert bound[0] == pytest.approx(1 * U * 1, rel=1e-5)
    assert bound[1] == pytest.approx(8 * U * 8, rel=1e-5)


def test_what_may_overflow_has_no_bound():
    assert np.isinf(dot_bound(np.full((1, 2), 2e38), np.ones((2, 1)), U)).all()
    assert np.isfinite(dot_bound(np.full((1, 2), 2e38), np.ones((2, 1)), UNIT_ROUNDOFF["float64"])).all()
    assert np.isinf(sum_bound(np.array([[3e38], [3e38], [-3e38]]), U)).all()


def given(name, w, g, error=0.0, slots=None, **numbers):
    """One update by an optimizer's formula, in float32's rounding; the slots are as at the start, or as given."""
    o = replace(OPTIMIZERS[name], **numbers)
    w, g = np.atleast_1d(np.asarray(w, np.float64)), np.atleast_1d(np.asarray(g, np.float64))
    start = {key: np.full(w.shape, value) for key, value in o.slots.items()} | (slots or {})
    return update(o, TORCH, 0, exact(w, U), Rounded(g, error, U), {key: exact(v, U) for key, v in start.items()})


@pytest.mark.parametrize("g", [1e-20, 5e-38, 1e-30, 3.0])
def test_underflow_is_followed_through_an_update(g):
    """float32 squares a small gradient to zero, and what it divides by is then epsilon alone."""
    w, slots = given("adam", 0.0, g)
    single = np.float32
    m, v = single(0.1) * single(g), single(0.001) * (single(g) * single(g))
    if v < np.finfo(single).tiny:
        v = single(0)
    rate = single(0.001 / (1 - 0.9))
    step = rate * m / (np.sqrt(v / single(1 - 0.999)) + single(1e-8))
    assert abs(-float(step) - w.value[0]) <= 3 * w.error[0]
    assert slots["second_moment"].error[0] >= smallest_normal(U)


def test_a_gradient_of_zero_moves_nothing():
    w, slots = given("rmsprop", 2.0, 0.0)
    assert slots["second_moment"].error[0] == 0
    assert w.error[0] <= 2 * U * 2.0 + smallest_normal(U)


def test_an_average_keeps_the_rounding_of_what_it_forgets():
    """m + (1 - beta) (g - m), as Keras has it, is not g where beta is 0 and m was large."""
    m, g = np.float32(1.0), np.float32(3e-9)
    kept = m + (g - m)
    _, slots = given("adam", 0.0, g, slots={"first_moment": np.array([1.0])}, beta_1=0.0)
    assert abs(float(kept) - float(g)) <= slots["first_moment"].error[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_in_blocks_is_the_same(name, monkeypatch):
    """Values, decisions and what may be no number; a bound may be sharper, since a block alone may be above zero."""
    optimizer = OPTIMIZERS[name]
    if name == "lbfgs":
        pytest.skip("sums over all weights")
    shape, generator = (30, 7), philox(9)
    w, g, *slots = (generator.normal(size=shape) for _ in range(2 + len(optimizer.slots)))
    g[::3], g[1::3] = 0.0, g[1::3] * 1e-30
    slots = {slot: exact(np.abs(array), U) for slot, array in zip(optimizer.slots, slots, strict=True)}
    given = optimizer, TORCH, 3, exact(w, U), Rounded(g, np.full(shape, 1e-31), U), slots
    whole = update(*given)
    monkeypatch.setattr(optimizer_formulas, "BLOCK", 32)
    parts = update(*given)
    for ours, other in zip((whole[0], *whole[1].values()), (parts[0], *parts[1].values()), strict=True):
        np.testing.assert_array_equal(ours.value, other.value)
        np.testing.assert_array_less(other.error, np.nextafter(ours.error, np.inf))
        for kind in ("positions", "outcomes"):
            np.testing.assert_array_equal(getattr(ours.branch, kind, 0), getattr(other.branch, kind, 0))
        np.testing.assert_array_equal(ours.ends is None, other.ends is None)


def test_a_root_of_what_may_be_below_zero_may_be_no_number():
    slots = {"second_moment": np.array([1.0]), "first_moment": np.array([1.0])}
    w, _ = given("rmsprop", 1.0, 1.0, slots=slots, centered=True)
    assert w.ends.all()
    here, no_number = np.array([float(w.value[0])]), np.array([np.nan])
    entry = worst(no_number, here, tolerance(w))
    assert (entry.measured, entry.unjudged) == (0, 1)
    # Elsewhere it is a difference.
    w, _ = given("rmsprop", 1.0, 1.0)
    assert worst(no_number, here, tolerance(w)).measured == np.inf


class TestSigns:
    """Rprop, whose update depends on the sign of a gradient and of its product with the last one."""

    def at(self, g, error, previous=0.3):
        return given("rprop", 1.0, g, error, slots={"previous_gradient": np.array([previous])})

    @pytest.mark.parametrize("other", [1.01, 0.99, 0.988, 1.0])
    def test_within_rounding_either_way_is_honest(self, other):
        w, _ = self.at(1e-8, 1e-7)
        entry = worst(np.array([other]), w.value, tolerance(w))
        assert entry.measured <= 1

    def test_nothing_between_two_ways_is(self):
        w, _ = self.at(1e-8, 1e-7)
        assert worst(np.array([0.994]), w.value, tolerance(w)).measured > 1e3

    @pytest.mark.parametrize("other", [1.01, 1.0, 0.99])
    def test_elsewhere_a_turned_sign_is_a_difference(self, other):
        w, slots = self.at(0.5, 1e-7)
        assert w.branch is None
        assert slots["step_size"].branch is None
        assert worst(np.array([other]), w.value, tolerance(w)).measured > 1e3

    def test_a_product_that_underflows_has_no_sign(self):
        w, _ = self.at(1e-30, 0.0, previous=1e-30)
        assert worst(np.array([0.99]), w.value, tolerance(w)).measured <= 1
        assert worst(np.array([1.012]), w.value, tolerance(w)).measured > 1e3

    def test_what_went_another_way_is_counted(self):
        w, _ = self.at(1e-8, 1e-7)
        assert worst(np.array([1.01]), w.value, tolerance(w)).branched == 1
        assert worst(w.value, w.value, tolerance(w)).branched == 0


def test_an_outcome_is_reached_within_the_bound_of_both_sides():
    allowed = Tolerance(np.full(2, 1e-6), None, Branch(np.array([1]), np.array([[0.0], [5.0]])))
    assert worst(np.array([0.0, 5.0]), np.array([0.0, 1e-7]), allowed).measured == pytest.approx(0.1)
    assert worst(np.array([5.0, 0.0]), np.array([0.0, 0.0]), allowed).measured == pytest.approx(5e6)


def cut(values, bits):
    """float32 numbers with so many bits of their mantissa, rounded."""
    scale = np.float32(2.0 ** (23 - bits))
    shifted = values * (scale + 1)
    return (shifted - (shifted - values)).astype(np.float32)


DATA = {
    "normal": lambda shape: philox(5).normal(size=shape),
    "all above zero": lambda shape: philox(6).random(shape),
    "mostly zero": lambda shape: np.where(philox(7).random(shape) < 0.1, philox(8).random(shape), 0),
    "of many sizes": lambda shape: np.exp(3 * philox(9).normal(size=shape)),
}


@pytest.mark.parametrize("n", [64, 784, 2048])
@pytest.mark.parametrize("name", DATA)
def test_fewer_digits_are_told_by_the_size_of_their_rounding(name, n):
    """TF32 keeps 10 bits of the operands, bfloat16 7; at n = 2048 some of its errors are within n u S."""
    a, b = DATA[name]((40, n)).astype(np.float32), philox(10).normal(size=(n, 30)).astype(np.float32)
    true = a.astype(np.float64) @ b.astype(np.float64)
    parts = Sum(a, b)
    honest = of_sum(parts, (a @ b).reshape(-1), true.reshape(-1))
    assert honest is not None
    assert honest < 2
    for bits in (10, 7):
        narrow = (cut(a, bits) @ cut(b, bits)).reshape(-1)
        assert of_sum(parts, narrow, true.reshape(-1)) > 8


def test_elements_that_are_all_alike_are_no_sample():
    a, b = np.full((40, 256), np.float32(0.1)), np.full((256, 30), np.float32(0.3))
    assert of_sum(Sum(a, b), (a @ b).reshape(-1), (a.astype(np.float64) @ b).reshape(-1)) is None


def test_the_rounding_of_a_loop_is_held_against_that_of_its_replay():
    true = philox(11).normal(size=1000)
    replayed, looped = (true * (1 + U * philox(key).uniform(-1, 1, 1000)) for key in (12, 13))

    def size(values):
        return of_step({"w": values.astype(np.float32)}, {"w": replayed.astype(np.float32)}, {"w": true})["w"]

    assert size(looped) < 2
    assert size(true * (1 + 100 * U)) == pytest.approx(8, rel=0.1)
    # One kink that has turned is no loss of digits.
    turned = np.where(np.arange(1000) == 7, 1.5 * true, looped)
    assert size(turned) < 2


def test_small_tensors_of_a_loop_count_together():
    """Of ten tensors of ten elements, each too few by itself, one that was rounded to bfloat16 with the others."""
    true = {f"w{i}": philox(20 + i).normal(size=10) for i in range(10)}
    once = {name: values.astype(np.float32) for name, values in true.items()}
    found = of_step(once, once, true)
    assert set(found) == set(true)
    assert max(found.values()) <= 1
    rough = of_step({name: cut(values, 7) for name, values in once.items()}, once, true)
    assert min(rough.values()) > 7
