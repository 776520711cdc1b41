"""A user's own pair, from two files to a verdict: right ports are parity, wrong ones part where they should."""

import json
from dataclasses import replace

import pytest
from commands import run
from own_pairs import IMAGES, PAIRS, REALS, TARGET, Fault, Pair, data

from parity.errors import UsageError
from parity.ports.check import Request, checked, record_side
from parity.ports.findings import MEASURED
from parity.ports.template import write

# Adam as Keras has it: epsilon is added before the correction of the bias.
ADAM = """
class Adam(torch.optim.Optimizer):
    def __init__(self, parameters, rate=0.01, betas=(0.9, 0.999), epsilon=1e-3):
        super().__init__(parameters, {"rate": rate, "betas": betas, "epsilon": epsilon})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state, (one, two) = self.state[w], group["betas"]
                state["step"] = state.get("step", 0) + 1
                m, v = (state.setdefault(name, torch.zeros_like(w)) for name in ("exp_avg", "exp_avg_sq"))
                m.add_(w.grad - m, alpha=1 - one)
                v.add_(w.grad**2 - v, alpha=1 - two)
                rate = group["rate"] * (1 - two ** state["step"]) ** 0.5 / (1 - one ** state["step"])
                w.sub_(rate * m / (v.sqrt() + group["epsilon"]))


def optimizer(parameters):
    return Adam(parameters)
"""
FAULTS = [
    pytest.param(name, number, marks=[pytest.mark.ci] if number > 2 else [])
    for name, pair in PAIRS.items()
    for number in range(len(pair.faults))
]


def request(paths, **settings):
    return Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]), **settings)


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_is_parity(name, own_workers, tmp_path):
    report = checked(request(PAIRS[name].write(tmp_path / "pair")), own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert report.status == 0
    measured = [f for f in report.findings if f.rule == MEASURED]
    assert all(f.measured is None or f.bound is None or f.measured < f.bound / 4 for f in measured)


@pytest.mark.parametrize(("name", "number"), FAULTS)
def test_a_fault_is_named_where_it_is(name, number, own_workers, tmp_path):
    fault = PAIRS[name].faults[number]
    report = checked(request(PAIRS[name].write(tmp_path / "pair", fault)), own_workers, tmp_path)
    assert report.verdict == "mismatch", str(report)
    assert report.first_divergence is not None
    assert report.first_divergence.level == fault.level, str(report)
    assert fault.stage in report.first_divergence.name, str(report)
    assert len(str(report).splitlines()) < 15


@pytest.mark.parametrize("weights", ["keras", "torch"])
def test_the_tool_moves_weights_by_itself(weights, own_workers, tmp_path):
    """In either direction, and where one bias becomes two, one of them is held: else their sum moves twice as far."""
    paths = PAIRS["lstm"].write(tmp_path / "pair")
    report = checked(request(paths, weights=weights), own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert any("lstm.bias_hh_l0 held fixed" in note for note in report.notes)


def test_weights_as_they_are_differ(own_workers, tmp_path):
    report = checked(request(PAIRS["rounding"].write(tmp_path / "pair"), weights="as-is"), own_workers, tmp_path)
    assert report.first_divergence is not None
    assert report.first_divergence.level == "weights"


@pytest.mark.parametrize("side", ["keras", "torch"])
def test_a_recording_stands_in_for_a_side(side, own_workers, tmp_path):
    """Its framework need not be there: the judge gets the other side's worker alone."""
    paths = PAIRS["rounding"].write(tmp_path / "pair")
    record_side(str(paths[side]), side, request(paths), own_workers, tmp_path / "recorded")
    other, worker = ("torch", "torch") if side == "keras" else ("keras", "tf")
    sides = {side: str(tmp_path / "recorded"), other: str(paths[other])}
    alone = {worker: own_workers[worker]}
    assert checked(Request(**sides), alone, tmp_path / "out").verdict == "parity"
    text = paths[other].read_text()
    paths[other].write_text(text.replace("SGD(", "Adam("))
    report = checked(Request(**sides), alone, tmp_path / "faulty")
    assert report.first_divergence is not None
    assert report.first_divergence.level == "optimizer step"


def test_recordings_in_the_wrong_place(own_workers, tmp_path):
    paths = PAIRS["rounding"].write(tmp_path / "pair")
    record_side(str(paths["keras"]), "keras", request(paths), own_workers, tmp_path / "recorded")
    with pytest.raises(UsageError, match="Keras's side first"):
        checked(Request(str(paths["keras"]), str(tmp_path / "recorded")), own_workers, tmp_path / "out")
    with pytest.raises(UsageError, match="both sides are recordings"):
        checked(Request(*[str(tmp_path / "recorded")] * 2), own_workers, tmp_path / "out")


def test_a_map_pairs_layers_again(own_workers, tmp_path):
    paths = PAIRS["flatten"].write(tmp_path / "pair")
    first = checked(request(paths), own_workers, tmp_path / "one")
    again = checked(request(paths, map=tmp_path / "one" / "map.toml"), own_workers, tmp_path / "two")
    assert first.verdict == again.verdict == "parity"
    assert {pair.rule for pair in again.pairing.pairs if pair.links} == {"map"}


def test_a_layer_without_a_partner_is_never_parity(own_workers, tmp_path):
    """Not even where the results agree: nothing says what it does."""
    paths = PAIRS["rounding"].write(tmp_path / "pair")
    text = paths["torch"].read_text()
    more = "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(4, 1)\n"
    more += "        self.more = nn.Linear(4, 3)\n\n    def forward(self, x):\n"
    more += "        return super().forward(x) + 0 * self.more(x).sum()\n\n"
    paths["torch"].write_text(
        text.replace("def build():\n    return nn.Linear(4, 1)", more + "def build():\n    return Net()")
    )
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert report.verdict != "parity", str(report)


TWINS = (
    """
def build():
    inputs = keras.Input((4,))
    x = layers.Dense(5)(inputs)
    x = layers.Dense(4, activation="tanh")(x) + layers.Dense(4, activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(1)(x))
""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(4, 5), nn.Linear(4, 1)
        self.one, self.two = nn.Linear(5, 4), nn.Linear(5, 4)

    def forward(self, x):
        x = self.first(x)
        return self.head(torch.tanh(self.one(x)) + torch.tanh(self.two(x)))


def build():
    return Net()
""",
)


def test_layers_that_nothing_tells_apart_accuse_nobody(own_workers, tmp_path, monkeypatch):
    """Where they are too many to be tried, what comes after them proves nothing, until a map says which is which."""
    pair = Pair(*TWINS, data(REALS.format(4), TARGET), (), optimizer=None)
    paths = pair.write(tmp_path / "pair")
    tried = checked(request(paths), own_workers, tmp_path / "tried")
    assert tried.verdict == "parity", str(tried)
    assert 'which partners "dense_1" and "dense_2" have was found by trying' in str(tried)
    monkeypatch.setattr("parity.ports.check.can_be_tried", lambda pairing: False)
    report = checked(request(paths), own_workers, tmp_path / "one")
    assert report.verdict == "insufficient", str(report)
    assert str(report).startswith("insufficient: results differ, but it is not known which layer is which\n")
    assert 'Say it in the map: "dense_1" = "one"' in str(report)
    (tmp_path / "map.toml").write_text('"dense_1" = "one"\n')
    assert checked(request(paths, map=tmp_path / "map.toml"), own_workers, tmp_path / "two").verdict == "parity"


def test_a_fault_before_layers_that_nothing_tells_apart_is_one(own_workers, tmp_path):
    fault = Fault("x = self.first(x)", "x = self.first(1.001 * x)", "forward", "dense")
    paths = Pair(*TWINS, data(REALS.format(4), TARGET), (fault,), optimizer=None).write(tmp_path / "pair", fault)
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert report.verdict == "mismatch", str(report)
    assert report.first_divergence.name.startswith("dense ~ "), str(report)


def test_a_stage_that_place_alone_paired_excuses_nothing(own_workers, tmp_path):
    """Another pooling in front of units that are dead: no result shows it, and the tensors in between do."""
    keras = """
def build():
    dead = layers.Dense(2, activation="relu", bias_initializer=keras.initializers.Constant(-100.0))
    return keras.Sequential([keras.Input((5, 5, 3)), layers.GlobalAveragePooling2D(), dead, layers.Dense(1)])
"""
    torch = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.dead, self.head = nn.Linear(3, 2), nn.Linear(2, 1)

    def forward(self, x):
        return self.head(F.relu(self.dead(x.mean((2, 3)))))


def build():
    return Net()
"""
    fault = Fault("x.mean((2, 3))", "x.amax((2, 3))", "forward", "global_average_pooling2d")
    pair = Pair(keras, torch + IMAGES, data(REALS.format("5, 5, 3"), TARGET), (fault,), optimizer=None)
    assert checked(request(pair.write(tmp_path / "right")), own_workers, tmp_path / "one").verdict == "parity"
    report = checked(request(pair.write(tmp_path / "wrong", fault)), own_workers, tmp_path / "two")
    assert report.verdict == "mismatch", str(report)
    assert report.first_divergence.name == "global_average_pooling2d ~ amax", str(report)


@pytest.mark.parametrize(("more", "verdict"), [("0", "parity"), ("1", "insufficient")])
def test_what_rounding_decides_is_no_parity(more, verdict, own_workers, tmp_path):
    """A unit in the last place of a quarter makes another whole number: such a bound excuses any port."""
    pair = Pair(
        """
        def build():
            x = inputs = keras.Input((5,))
            return keras.Model(inputs, layers.Dense(1)(keras.ops.floor(x * 4)))

        """,
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.dense = nn.Linear(5, 1)

            def forward(self, x):
                return self.dense(torch.floor(x * 4) + {more})


        def build():
            return Net()

        """,
        data('rng.integers(0, 40, (n, 5)).astype("float32") / 4', TARGET),
        (),
        optimizer=None,
    )
    report = checked(request(pair.write(tmp_path / "pair")), own_workers, tmp_path / "out")
    assert report.verdict == verdict, str(report)
    assert ("rounding decides it" in str(report)) == (verdict == "insufficient")


def test_a_result_of_another_shape_is_where_they_part(own_workers, tmp_path):
    """Not what is made of it later on, once a mean has made the shapes equal again."""
    keras = """
def build():
    return keras.Sequential([
        keras.Input((7, 7, 3)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2, padding="same"),
        layers.GlobalAveragePooling2D(), layers.Dense(1),
    ])
"""
    torch = "\ndef build():\n    pool = nn.MaxPool2d(2, ceil_mode=True)\n    return nn.Sequential(\n"
    torch += (
        "        nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)\n    )\n\n"
    )
    fault = Fault(", ceil_mode=True", "", "forward", "max_pooling2d")
    pair = Pair(keras, torch + IMAGES, data(REALS.format("7, 7, 3"), TARGET), (fault,), optimizer=None)
    assert checked(request(pair.write(tmp_path / "right")), own_workers, tmp_path / "one").verdict == "parity"
    report = checked(request(pair.write(tmp_path / "wrong", fault)), own_workers, tmp_path / "two")
    assert report.first_divergence.name == "max_pooling2d ~ 2", str(report)
    assert "Keras's result has the shape (16, 3, 3, 4), torch's (16, 4, 2, 2)" in str(report)


def test_a_layer_of_another_size_is_named(own_workers, tmp_path):
    keras = "\ndef build():\n    return keras.Sequential([keras.Input((4,)), layers.Dense(6), layers.Dense(1)])\n"
    torch = "\ndef build():\n    return nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 1))\n"
    paths = Pair(keras, torch, data(REALS.format(4), TARGET), (), optimizer=None).write(tmp_path / "pair")
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert report.verdict == "mismatch", str(report)
    assert (report.first_divergence.level, report.first_divergence.name) == ("weights", "dense ~ 0"), str(report)
    assert "  of two sizes: Dense 4x6 in Keras, Linear 7x4 in torch\n" in str(report)


def test_the_files_to_start_with_run_as_they_are(tmp_path):
    write(tmp_path / "new")
    arguments = ["new/my_keras.py", "new/my_torch.py", "--data", "new/data.py", "--out", "out", "--junit", "checks.xml"]
    done = run("parity.check", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "verdict: parity"
    assert json.loads((tmp_path / "out" / "verdict.json").read_text())["verdict"] == "parity"
    assert "<testcase" in (tmp_path / "checks.xml").read_text()
    again = run("parity.check", "--new", "new", folder=tmp_path)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)


RESIZED = (
    "def build():\n    ends = layers.Conv2D(4, 3), layers.Conv2D(2, 1)\n"
    "    return keras.Sequential([keras.Input((6, 5, 3)), ends[0], {}, ends[1]])\n",
    "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)\n\n"
    "    def forward(self, x):\n        x = self.a(x)\n"
    "        {}\n        return self.b(x)\n\ndef build():\n    return Net()\n\n"
    "def outputs(y):\n    return y.permute(0, 2, 3, 1)\n\n",
)


@pytest.mark.parametrize(
    ("keras", "torch", "place"),
    [
        ("layers.Resizing(7, 9)", "x = F.interpolate(x, size=(7, 9), mode='bilinear')", "resizing.py"),
        ("layers.ReLU()", "x = torch.relu(x).to(torch.float32).to(x.dtype)", "your own code"),
    ],
)
def test_fewer_digits_are_found_and_named(keras, torch, place, own_workers, tmp_path):
    """What is behind them is held to float32's rounding, and a fault beyond that is still one."""
    sides = RESIZED[0].format(keras), RESIZED[1].format(torch) + IMAGES
    pair = Pair(*sides, PAIRS["flatten"].data, (), optimizer=None)
    paths = pair.write(tmp_path)
    paths["data"].write_text(
        "def data(rng, n):\n    return rng.normal(size=(n, 6, 5, 3)), rng.normal(size=(n, 7, 9, 2))\n"
    )
    if "Resizing" not in keras:
        paths["data"].write_text(paths["data"].read_text().replace("7, 9, 2", "4, 3, 2"))
    paths["torch"].write_text(
        paths["torch"].read_text().replace("mse_loss(outputs, ", "mse_loss(outputs.permute(0, 2, 3, 1), ")
    )
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)
    assert place in str(report)
    assert any(finding.reason.startswith("within float32") for finding in report.findings)
    assert all(
        f.reason == "within rounding" for f in report.findings if f.name == "conv2d ~ a" and f.level == "forward"
    )
    paths["torch"].write_text(paths["torch"].read_text().replace("self.b(x)", "self.b(1.001 * x)"))
    assert checked(request(paths), own_workers, tmp_path / "fault").verdict == "mismatch"


def test_constants_that_keras_rounds_are_its_own(own_workers, tmp_path):
    """A right port with stock Adam cannot follow Keras's betas, which go through float32: parity, and said."""
    adam = "def optimizer():\n    return keras.optimizers.Adam(0.01, epsilon=1e-3)\n", ADAM
    pair = replace(PAIRS["rounding"], optimizer=adam)
    report = checked(request(pair.write(tmp_path / "pair")), own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)
    assert "a framework's: Keras rounds constants of its own" in str(report)
    strict = checked(request(pair.write(tmp_path / "pair"), strict=True), own_workers, tmp_path / "strict")
    assert strict.verdict == "mismatch"
    wrong = replace(pair, optimizer=(adam[0], ADAM.replace("0.999", "0.9991")))
    report = checked(request(wrong.write(tmp_path / "wrong")), own_workers, tmp_path / "betas")
    assert report.first_divergence is not None
    assert report.first_divergence.level == "optimizer step"


def test_stages_are_judged_alone_where_the_pass_differs(own_workers, tmp_path):
    """On the other side's tensors, which a recording can give, too: two faults are told apart, and all else agrees."""
    paths = PAIRS["flatten"].write(tmp_path / "pair")
    text = paths["torch"].read_text()
    for old, new in (("nn.ReLU(", "nn.ReLU6("), ("head(x.flatten(1)", "head(1.5 * x.flatten(1)")):
        text = text.replace(old, new)
    paths["torch"].write_text(text.replace("self.relu(self.conv(x))", "self.relu(9 * self.conv(x))"))
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert [f.name for f in report.alone if f.result == "failed"] == ["conv2d/relu ~ relu", "dense ~ head"], str(report)
    assert [cause.name for cause in report.causes] == ["another_operation"] * 2, str(report)
    record_side(str(paths["torch"]), "torch", request(paths), own_workers, tmp_path / "recorded")
    sides = Request(str(paths["keras"]), str(tmp_path / "recorded"))
    other = checked(sides, {"tf": own_workers["tf"]}, tmp_path / "other")
    assert [f.name for f in other.alone if f.result == "failed"] == ["conv2d/relu ~ relu", "dense ~ head"], str(other)
    assert "given equal inputs, 3 of 5 stages agree" in str(other)


def test_fewer_digits_in_float32_alone(own_workers, tmp_path):
    """Autocast leaves float64 alone, so that nothing else shows it."""
    paths = PAIRS["rounding"].write(tmp_path / "pair")
    more = "class Net(nn.Linear):\n    def forward(self, x):\n        with torch.autocast('cpu', torch.bfloat16):\n"
    more += "            return super().forward(x).to(x.dtype)\n\n"
    old = "def build():\n    return nn.Linear(4, 1)"
    text = paths["torch"].read_text().replace(old, f"{more}def build():\n    return Net(4, 1)")
    paths["torch"].write_text(text)
    paths["data"].write_text(paths["data"].read_text().replace("STEPS = 2", "STEPS = 0"))
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert report.verdict == "parity"
    assert "float32: torch rounds far more in float32 than the other side: half precision, autocast" in str(report)


def test_a_map_reorders_the_rows_behind_a_flattened_map(own_workers, tmp_path):
    """Each side flattens in its own order; moved layer by layer the dense layer differs, with the map it does not."""
    pair = PAIRS["flatten"]
    paths = pair.write(tmp_path / "pair", pair.faults[0])
    (tmp_path / "map.toml").write_text('[flattened]\n"dense" = 3\n')
    report = checked(request(paths, map=tmp_path / "map.toml"), own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)


REORDERED = """
def port(module, weights):
    kernel, bias, head, head_bias = map(torch.from_numpy, weights)
    module.conv.weight.data.copy_(kernel.permute(3, 2, 0, 1))
    module.conv.bias.data.copy_(bias)
    module.head.weight.data.copy_(head.reshape(2, 1, 3, 4).permute(2, 0, 1, 3).reshape(6, 4).T)
    module.head.bias.data.copy_(head_bias)
"""


def test_a_port_that_reorders_the_rows_is_right(own_workers, tmp_path):
    pair = PAIRS["flatten"]
    paths = pair.write(tmp_path / "pair", pair.faults[0])
    paths["torch"].write_text(paths["torch"].read_text() + REORDERED)
    report = checked(request(paths), own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)


BRANCHES = (
    """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.shared = layers.Dense(4)
        self.head = layers.Dense(3)
        self.score = layers.Dense(1)

    def call(self, x, training=False):
        a, b = self.shared(x["left"]), self.shared(x["right"])
        h = keras.ops.relu(a - b)
        return {"classes": self.head(h), "scores": (self.score(h), keras.ops.sum(h, axis=1))}

def build():
    return Net()
""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(4, 1)
        self.head = nn.Linear(4, 3)
        self.shared = nn.Linear(5, 4)

    def forward(self, left, right):
        h = torch.relu(self.shared(left) - self.shared(right))
        return {"classes": self.head(h), "scores": (self.score(h), h.sum(1))}

def build():
    return Net()
""",
    "def data(rng, n):\n    return {'left': rng.normal(size=(n, 5)), 'right': rng.normal(size=(n, 5))}\n",
)


def test_several_inputs_and_outputs_of_a_subclassed_model(own_workers, tmp_path):
    """Nested, a layer that is shared, functions between layers on both sides."""
    pair = Pair(*BRANCHES, (), loss=("", ""), optimizer=None)
    report = checked(request(pair.write(tmp_path / "pair")), own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)
    names = [f.name for f in report.findings if f.level == "forward"]
    assert {"dense ~ shared", "dense#2 ~ shared#2", "output classes", "output scores/0", "output scores/1"} <= {*names}
    wrong = replace(pair, torch=pair.torch.replace("self.shared(right)", "self.shared(right.flip(1))"))
    report = checked(request(wrong.write(tmp_path / "wrong")), own_workers, tmp_path / "other")
    assert report.first_divergence is not None
    assert report.first_divergence.name == "dense#2 ~ shared#2", str(report)
