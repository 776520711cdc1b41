"""Device, precision, threads and determinism of TensorFlow, in one place."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.spec import Realisation


def configure(threads: int) -> None:
    """Set what must be set before the first operation: threads, determinism, memory growth, no TF32."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    # TensorFlow multiplies float32 matrices in TF32 on Ampere and later unless told not to; torch does not.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    # TensorFlow takes all of a GPU's memory at its first use unless told not to.
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def devices() -> dict[str, str]:
    """The devices the framework can use: "cpu" and perhaps "gpu", with the framework's own name for each."""
    found = {"cpu": "/CPU:0"}
    if tf.config.list_physical_devices("GPU"):
        found["gpu"] = "/GPU:0"
    return found


def set_dtype(dtype: str) -> None:
    """Make `dtype` the type of everything built from now on."""
    # Keras keeps two settings: the float type (learning rates, losses) and the policy (layers), which caches it.
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


def precision(device: str) -> dict[str, str]:
    """How float32 is really computed on `device`, in terms that both frameworks share."""
    tf32 = device == "gpu" and tf.config.experimental.tensor_float_32_execution_enabled()
    with tf.device(devices()[device]):
        kept = tf.constant(np.full(64, 1e-40, np.float32)) * tf.constant(np.float32(0.5))
    return {
        "matmul": "tf32" if tf32 else "ieee",
        "denormals": "kept" if np.count_nonzero(kept) else "flushed",
    }


def describe() -> dict[str, Any]:
    """Versions and settings, for the manifest."""
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "backend": keras.backend.backend(),
        # TensorFlow has no public way to ask; `configure` set it.
        "deterministic": True,
        "devices": sorted(devices()),
        # False would mean that TensorFlow had taken a GPU's whole memory at its start.
        "memory_growth": all(map(tf.config.experimental.get_memory_growth, tf.config.list_physical_devices("GPU"))),
    }


def constant(value: float, realisation: Realisation) -> float:
    """A constant in the form that makes Keras use it exact, or rounded through float32."""
    return exact(value) if realisation.constants == "exact" else value


def exact(value: float) -> float:
    """A constant in the form that makes Keras use it exact."""
    # tf.cast takes a Python float through float32 whatever the target; a NumPy float64 it leaves alone. In float32 that
    # rounding is the only one, while a NumPy float64 would raise the whole operation to float64.
    return np.float64(value) if keras.config.floatx() == "float64" else value
