"""Device, precision, threads and determinism of torch, in one place."""

import os
from typing import Any

import numpy as np
import torch

from parity.experiment.spec import Realisation


def configure(threads: int) -> None:
    """Set what must be set before the first operation: threads, determinism, denormals, no TF32."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
    # As use_deterministic_algorithms(True), which besides loads a compiler that nothing uses.
    torch.set_deterministic_debug_mode("error")
    # Without it, cuBLAS refuses products where algorithms must be deterministic; read when a GPU is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.fp32_precision = "ieee"
    # TensorFlow's CPU kernels take denormal numbers for zero and have no switch; torch has one.
    torch.set_flush_denormal(True)


def devices() -> dict[str, str]:
    """The devices the framework can use: "cpu" and perhaps "gpu", with the framework's own name for each."""
    found = {"cpu": "cpu"}
    if torch.cuda.is_available():
        found["gpu"] = "cuda"
    return found


def set_dtype(dtype: str) -> None:
    """Make `dtype` the type of everything built from now on."""
    torch.set_default_dtype(getattr(torch, dtype))


def precision(device: str) -> dict[str, str]:
    """How float32 is really computed on `device`, in terms that both frameworks share."""
    tf32 = device == "gpu" and torch.backends.cuda.matmul.fp32_precision == "tf32"
    kept = torch.full((64,), 1e-40, dtype=torch.float32, device=devices()[device]) * np.float32(0.5)
    return {
        "matmul": "tf32" if tf32 else "ieee",
        "denormals": "kept" if torch.count_nonzero(kept) else "flushed",
    }


def describe() -> dict[str, Any]:
    """Versions and settings, for the manifest."""
    return {
        "torch": torch.__version__,
        "intra_op_threads": torch.get_num_threads(),
        "inter_op_threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "devices": sorted(devices()),
        # torch takes a GPU's memory as it needs it.
        "memory_growth": True,
    }


def constant(value: float, realisation: Realisation) -> float:
    """A constant as it is, or rounded through float32 as Keras rounds it."""
    # torch computes with Python floats as they are, so Keras's rounding is done here.
    return value if realisation.constants == "exact" else float(np.float32(value))
