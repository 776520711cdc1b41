"""Arrays in one file: what was written is read, in its order, and a file that is none is refused in one line."""

import numpy as np
import pytest

from parity.errors import IncomparableError, UsageError
from parity.ports.arrays import Writer, load_arrays, save_arrays

ARRAYS = {
    "b/kernel": np.arange(6.0).reshape(2, 3).T,
    "a": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
    "halves": np.array([0.5, np.nan], np.float16),
}


def test_arrays_are_read_as_they_were_written(tmp_path):
    save_arrays(tmp_path / "some.arrays", ARRAYS)
    found = load_arrays(tmp_path / "some.arrays")
    assert list(found) == list(ARRAYS)
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
    # One may write to what was read; the file stays what it is.
    found["b/kernel"][:] = 9
    np.testing.assert_array_equal(load_arrays(tmp_path / "some.arrays")["b/kernel"], ARRAYS["b/kernel"])


def test_a_file_that_was_not_finished_is_not_there(tmp_path):
    with pytest.raises(TypeError), Writer(tmp_path / "some.arrays") as write:
        write("a", np.array([{}]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-9],
        lambda whole: whole.replace(b"float64", b"object_"),
        lambda whole: whole.replace(b"[3, 2]", b"[9999, 2]"),
        lambda whole: whole.replace(b"[3, 2]", b"[-3,2]"),
        lambda whole: whole[:-8] + (2**60).to_bytes(8, "little"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage, tmp_path):
    file = tmp_path / "some.arrays"
    save_arrays(file, ARRAYS)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert damage(whole) != whole
    with pytest.raises(IncomparableError) as error:
        load_arrays(file)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        save_arrays(tmp_path / "file" / "some.arrays", ARRAYS)
