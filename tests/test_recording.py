"""What is written reads back; what is damaged, incomplete or foreign is refused by name."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from parity.errors import IncomparableError, UsageError
from parity.recordings import files, recording


@pytest.fixture
def copy(clean_pair, tmp_path):
    """A copy of torch's recording, to be damaged."""
    return shutil.copytree(clean_pair[1].folder, tmp_path / "copy")


def rewrite_manifest(folder, **changes):
    path = folder / recording.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_recording_holds_what_it_promises(clean_pair):
    for recorded in clean_pair:
        trace = recorded.trace
        assert set(trace) == set(recorded.phase.traced(40, 1))
        assert trace["cost"].shape == (40,)
        assert trace["cost"].dtype == np.float32
        assert trace["epoch_cost"].shape == trace["accuracy"].shape == (1,)
        assert trace["epoch_cost"][0] == pytest.approx(trace["cost"].astype(np.float64).mean())
        assert trace["predictions"].shape == (1000,)
        assert trace["predictions"].dtype == np.int64
        assert all(trace[f"consumed/{name}"].shape == (40,) for name in ("indices", "inputs", "labels"))
        assert recorded.manifest.status == "complete"
        assert recorded.manifest.peak_memory_bytes > 10**8
        assert set(recorded.manifest.seconds) == {"prepare", "train", "replay", "twins"}
        assert int(recorded.state(0)["step"]) == 0
        assert int(recorded.state(40)["step"]) == 40


def test_the_environment_is_described(clean_pair):
    """Devices seen and used, threads and what decides about numbers, under the same names on both sides."""
    for recorded in clean_pair:
        environment = recorded.manifest.environment
        assert environment["devices"][0] == recorded.manifest.device == "cpu"
        assert environment["intra_op_threads"] == environment["inter_op_threads"] == 1
        assert environment["deterministic"] is environment["memory_growth"] is True
        assert recorded.manifest.precision == {"dtype": "float32", "matmul": "ieee", "denormals": "flushed"}


def test_states_hold_weights_and_slots_under_the_same_names(clean_pair):
    ours, theirs = (recorded.state(40) for recorded in clean_pair)
    assert set(ours) == set(theirs)
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in theirs.items()}
    assert ours["weights/dense_1/kernel"].shape == (784, 256)
    assert ours["slots/second_moment/dense_1/kernel"].any()


def test_accuracy_is_that_of_the_predictions(clean_pair):
    labels = np.tile(np.arange(10), 100)
    for recorded in clean_pair:
        assert recorded.trace["accuracy"][-1] == np.mean(recorded.trace["predictions"] == labels)


def test_no_recording(tmp_path):
    with pytest.raises(UsageError, match="holds no recording"):
        recording.read(tmp_path)


@pytest.mark.parametrize("status", ["recording", "interrupted", "failed"])
def test_an_incomplete_recording_is_refused(status, copy):
    rewrite_manifest(copy, status=status)
    with pytest.raises(IncomparableError, match=f"status: {status}"):
        recording.read(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"format": "1"}, "format: Input should be a valid integer"),
        ({"status": "perfect"}, "status: Input should be"),
        ({"surprise": 1}, "surprise: Unexpected keyword argument"),
        ({"identity": {}}, "identity"),
    ],
)
def test_a_wrong_manifest_is_refused(changes, message, copy):
    rewrite_manifest(copy, **changes)
    with pytest.raises(IncomparableError, match=message):
        recording.read(copy)


def test_a_digest_that_is_not_the_recordings(copy):
    digests = json.loads((copy / recording.MANIFEST).read_text())["digests"]
    rewrite_manifest(copy, digests=digests | {"start": "../" * 9})
    with pytest.raises(IncomparableError, match="the digest of start is not that of the recording"):
        recording.read(copy)


def test_an_identity_that_was_changed(copy):
    identity = json.loads((copy / recording.MANIFEST).read_text())["identity"]
    rewrite_manifest(copy, identity=identity | {"seed": 7})
    with pytest.raises(IncomparableError, match="the digest of identity is not that of the recording"):
        recording.read(copy)


def resave(folder, name, **arrays):
    """Change arrays of a file, its digest in the manifest included."""
    content = safetensors.numpy.save({**safetensors.numpy.load_file(folder / name), **arrays})
    (folder / name).write_bytes(content)
    files = json.loads((folder / recording.MANIFEST).read_text())["files"]
    rewrite_manifest(folder, files=files | {name: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("cost", np.zeros(39, np.float32), "39 steps in 1 epochs, not 40 steps"),
        ("cost", np.zeros((40, 1), np.float32), "cost is float32 .40, 1. and must be float32 .40,."),
        ("accuracy", np.zeros(1, np.float32), "accuracy is float32"),
        ("consumed/labels", np.zeros(40, np.int32), "consumed/labels is int32"),
        ("test_labels", np.zeros(7, np.int64), "not as many labels and outputs as predictions"),
        ("test_output", np.zeros((7, 10), np.float32), "not as many labels and outputs as predictions"),
        ("test_output", np.zeros(1000, np.float32), "test_output is float32 .1000,. and must be float32 .1000, 10."),
        ("undecided", np.zeros(7, np.bool_), "not as many labels and outputs as predictions"),
        ("extra", np.zeros(1), "holds"),
    ],
)
def test_a_trace_of_the_wrong_layout(name, array, message, copy):
    resave(copy, recording.TRACE, **{name: array})
    with pytest.raises(IncomparableError, match=message):
        recording.read(copy)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("outputs/dense_1", np.zeros((100, 255)), "outputs/dense_1 is float64 .100, 255. and must be"),
        ("cost", np.zeros((), np.float32), "cost is float32"),
        ("labels", np.full(100, 10), "labels are not all from 0 to 9"),
    ],
)
def test_a_replay_of_the_wrong_layout(name, array, message, copy):
    resave(copy, recording.start_file("float64"), **{name: array})
    with pytest.raises(IncomparableError, match=message):
        recording.read(copy).start("float64")


def test_changed_evidence_is_refused(copy):
    path = copy / recording.evidence_file(1)
    arrays = safetensors.numpy.load_file(path)
    arrays["cost"] = np.asarray(arrays["cost"] + 1e-9)
    safetensors.numpy.save_file(arrays, path)
    with pytest.raises(IncomparableError, match="was changed after it was recorded"):
        recording.read(copy).checkpoint(1)
    del arrays["deltas/dense_1"]
    safetensors.numpy.save_file(arrays, path)
    with pytest.raises(IncomparableError, match="deltas/dense_1 is missing"):
        recording.read(copy).checkpoint(1)
    path.unlink()
    with pytest.raises(UsageError, match=r"holds no evidence/1.safetensors; a reference is made by parity.record"):
        recording.read(copy).checkpoint(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"float64/measured": np.zeros(3)}, "float64/measured is float64 .3,. and must be float64 .35,."),
        ({"float64/position": np.zeros(35)}, "float64/position is float64"),
        ({"float16/measured": np.zeros(35)}, "does not hold the summaries that belong there"),
    ],
)
def test_summaries_of_the_wrong_layout(change, message, copy):
    key = recording.read(copy).checkpoints[0]
    resave(copy, recording.lockstep_file(key), **change)
    with pytest.raises(IncomparableError, match=message):
        recording.read(copy).replayed(key)


def test_a_checkpoint_is_a_step(copy):
    for step in ("x", "-1", "01", "1.0"):
        rewrite_manifest(copy, checkpoints={step: "0" * 64})
        with pytest.raises(IncomparableError, match="a checkpoint is a step"):
            recording.read(copy)


def test_a_file_that_leads_out_is_refused(copy, tmp_path):
    (copy / recording.TRACE).rename(tmp_path / "elsewhere")
    (copy / recording.TRACE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IncomparableError, match="links lead out of the recording"):
        recording.read(copy)


def test_a_huge_file_is_not_read(copy):
    with (copy / recording.TRACE).open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(IncomparableError, match="1099511627776 bytes"):
        recording.read(copy)


def test_a_manifest_that_is_no_json(copy):
    (copy / recording.MANIFEST).write_text("{")
    with pytest.raises(IncomparableError, match="is not valid"):
        recording.read(copy)


def test_a_changed_file_is_refused(copy):
    path = copy / recording.TRACE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IncomparableError, match="was changed after it was recorded"):
        recording.read(copy)


def test_a_missing_file_is_refused(copy):
    (copy / recording.TRACE).unlink()
    with pytest.raises(IncomparableError, match="cannot be read"):
        recording.read(copy)


def test_a_half_written_file_is_never_seen(tmp_path, monkeypatch):
    """If writing breaks off, the file's name still shows the old content."""
    path = tmp_path / "file"
    files.write_whole(path, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(UsageError, match=r"cannot be written .No space left on device.; make room"):
        files.write_whole(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_digest_tells_name_dtype_shape_and_value_apart():
    base = np.arange(4, dtype=np.float32)
    variants = [
        {"a": base}, {"b": base}, {"a": base.astype(np.float64)}, {"a": base.reshape(2, 2)}, {"a": base + 1},
    ]  # fmt: skip
    assert len({recording.digest(arrays) for arrays in variants}) == len(variants)
    assert recording.digest({"a": base, "b": base}) == recording.digest({"b": base, "a": base})
