"""What a check of a public model costs: python -m benchmarks.overhead DenseNet121 densenet121

Times one eager forward and backward pass of both sides in float64, each side in a process of its own with the threads
that the check gives it, and then the check's forward and backward levels (--steps 0). Prints both and their ratio.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parity.ports.check import Request, checked
from parity.workers.processes import available_cpus, started

KERAS = "import keras\n\n\ndef build():\n    return keras.applications.{}(weights=None, classifier_activation=None)\n"
TORCH = (
    "import torch\nimport torchvision\n\n\ndef build():\n    return torchvision.models.{}()\n\n\n"
    "def inputs(x):\n    return torch.from_numpy(x).permute(0, 3, 1, 2)\n"
)
DATA = "def data(rng, n):\n    return rng.normal(size=(n, {0}, {0}, 3)).astype('float32')\n"
# A first pass is not timed: what it prepares, any use of the model pays.
EAGER = {
    "keras": """
import json, sys, time
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads({threads})
tf.config.threading.set_inter_op_parallelism_threads(1)
import keras
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
from my_keras import build
model, x = build(), tf.random.normal({shape}, dtype="float64")
def once():
    with tf.GradientTape() as tape:
        cost = tf.reduce_sum(model(x, training=True))
    tape.gradient(cost, model.trainable_variables)
""",
    "torch": """
import json, sys, time
import torch
torch.set_num_threads({threads})
torch.set_default_dtype(torch.float64)
from my_torch import build
model, x = build(), torch.randn({shape}).permute(0, 3, 1, 2)
def once():
    model.zero_grad()
    model(x).sum().backward()
""",
}
TIMED = """
once()
seconds = []
for _ in range(3):
    began = time.perf_counter()
    once()
    seconds.append(time.perf_counter() - began)
print(json.dumps(min(seconds)))
"""


def eager(side: str, shape: tuple[int, ...], threads: int, folder: Path) -> float:
    """Seconds of one pass forward and back, the least of three."""
    code = EAGER[side].format(shape=shape, threads=threads) + TIMED
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.overhead", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("keras", help="its name in keras.applications")
    parser.add_argument("torch", help="its name in torchvision.models")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--size", type=int, default=224, help="height and width of an image")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "my_keras.py").write_text(KERAS.format(options.keras))
        (folder / "my_torch.py").write_text(TORCH.format(options.torch))
        (folder / "data.py").write_text(DATA.format(options.size))
        threads = max(1, available_cpus() // 2)
        shape = (options.samples, options.size, options.size, 3)
        alone = {side: eager(side, shape, threads, folder) for side in EAGER}
        files = {side: str(folder / f"my_{side}.py") for side in EAGER}
        request = Request(**files, data=str(folder / "data.py"), samples=options.samples, steps=0)
        with started("cpu", threads, None, module="parity.ports.worker") as workers:
            began = time.perf_counter()
            report = checked(request, workers, folder / "out")
            whole = time.perf_counter() - began
        memory = [side.recorded.peak_memory_bytes for side in (report.keras, report.torch)]
    once = sum(alone.values())
    print(report)
    print(f"one eager pass forward and back, float64: Keras {alone['keras']:.2f} s, torch {alone['torch']:.2f} s")
    print(f"the check's forward and backward levels: {whole:.1f} s, {whole / once:.1f} times both")
    print(f"at most {memory[0] / 1e9:.1f} GB in Keras's process, {memory[1] / 1e9:.1f} GB in torch's")


if __name__ == "__main__":
    main()
