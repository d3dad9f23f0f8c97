"""Whatever bytes a model file holds: a sound model, or a ModelFileError. Never code, never a hang."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save as to_safetensors

from engine.errors import ModelFileError
from engine.surrogates import fit, load, model_file, save
from engine.surrogates.model_file import from_bytes, pack, to_bytes
from engine.surrogates.params import MAX_DEPTH
from engine.surrogates.trees import LEAF

SMALL = {
    "linear": {},
    "random_forest": {"n_trees": 3},
    "hist_gradient_boosting": {"n_iterations": 3, "max_leaves": 4},
}


def trained(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    Y = np.stack([X[:, 0] * X[:, 1], X[:, 1]], axis=1)
    return fit(kind, X, Y, inputs=["负荷", "O2 (%)"], outputs=["y", "z"], params=SMALL[kind])


SURROGATES = {kind: trained(kind) for kind in SMALL}
FILES = {kind: to_bytes(surrogate) for kind, surrogate in SURROGATES.items()}
QUERIES = np.random.default_rng(1).normal(size=(20, 2))


def parts(kind):
    """Return a description and arrays that ``pack`` makes a sound file of; the arrays may be written to."""
    header_size = int.from_bytes(FILES[kind][:8], "little")
    model = json.loads(json.loads(FILES[kind][8 : 8 + header_size])["__metadata__"]["model"])
    del model["sha256"]
    surrogate = SURROGATES[kind]
    names = ("input_ranges", "output_ranges", "input_sd", "output_sd")
    arrays = surrogate.form.arrays() | {name: getattr(surrogate, name) for name in names}
    return model, {name: array.copy() for name, array in arrays.items()}


def sound_or_refused(content, kind):
    """Read the bytes: True if they give the model of this kind, False if they are refused."""
    try:
        surrogate = from_bytes(content)
    except ModelFileError:
        return False
    np.testing.assert_array_equal(surrogate.predict(QUERIES), SURROGATES[kind].predict(QUERIES))
    assert surrogate.inputs == SURROGATES[kind].inputs
    return True


# The file as it should be


@pytest.mark.parametrize("kind", SMALL)
def test_parts_put_together_again_are_the_file(kind):
    assert pack(*parts(kind)) == FILES[kind]


@pytest.mark.parametrize("kind", SMALL)
def test_any_safetensors_reader_can_read_a_model_file(kind, tmp_path):
    save(SURROGATES[kind], tmp_path / "model")

    with safe_open(tmp_path / "model", framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        model = json.loads(file.metadata()["model"])

    assert (model["format"], model["version"], model["kind"]) == ("setpoint.surrogate", 3, kind)
    assert model["inputs"] == ["负荷", "O2 (%)"]
    for name, array in SURROGATES[kind].form.arrays().items():
        np.testing.assert_array_equal(arrays[name], array)


TRAIN_ELSEWHERE = """
import runpy, sys
here = runpy.run_path(sys.argv[1])
for kind, content in here["FILES"].items():
    open(sys.argv[2] + kind, "wb").write(content)
"""


def test_another_process_with_other_threads_writes_the_same_bytes(tmp_path):
    prefix = str(tmp_path / "model-")
    other = os.environ | {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "PYTHONHASHSEED": "7"}

    subprocess.run([sys.executable, "-c", TRAIN_ELSEWHERE, __file__, prefix], check=True, timeout=120, env=other)

    for kind, content in FILES.items():
        with open(prefix + kind, "rb") as file:
            assert file.read() == content


def test_files_of_earlier_versions_are_still_read():
    model, arrays = parts("random_forest")
    del model["encoding"], model["routes"]
    assert sound_or_refused(pack(model | {"version": 2}, arrays), "random_forest")
    del model["choice"]

    assert sound_or_refused(pack(model | {"version": 1}, arrays), "random_forest")
    with pytest.raises(ModelFileError, match="the fields"):
        from_bytes(pack(model, arrays))


# Accidents


@pytest.mark.parametrize("kind", SMALL)
@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_altered_bytes_are_refused_or_change_nothing(kind, data):
    content = bytearray(FILES[kind])
    header_end = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        in_header = data.draw(st.booleans())
        at = data.draw(st.integers(0, min(header_end, len(content)) if in_header else len(content)))
        new = data.draw(st.binary(min_size=0, max_size=12))
        content[at : at + data.draw(st.integers(0, 12))] = new

    sound_or_refused(bytes(content), kind)


@pytest.mark.parametrize("kind", SMALL)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_flipped_bit_in_an_array_is_found(kind, data):
    content = bytearray(FILES[kind])
    header_end = 8 + int.from_bytes(content[:8], "little")
    at = data.draw(st.integers(header_end, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(ModelFileError, match="checksum"):
        from_bytes(bytes(content))


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_cut_short_anywhere_is_refused(kind):
    content = FILES[kind]
    cuts = {*range(0, 1200, 7), *range(0, len(content), 97), len(content) - 1}

    for cut in cuts - {len(content)}:
        with pytest.raises(ModelFileError):
            from_bytes(content[: min(cut, len(content) - 1)])


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content):
    with pytest.raises(ModelFileError):
        from_bytes(content)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)
                    | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_for_a_header_is_refused(value):
    header = json.dumps({"__metadata__": {"model": json.dumps(value)}}).encode()

    for text in (header, json.dumps(value).encode()):
        with pytest.raises(ModelFileError):
            from_bytes(len(text).to_bytes(8, "little") + text)


# Intent: files with a valid checksum


@pytest.mark.parametrize("kind", SMALL)
@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_forged_array_is_refused_or_predicts_finite_numbers(kind, data):
    model, arrays = parts(kind)
    name = data.draw(st.sampled_from(sorted(arrays)))
    flat = arrays[name].reshape(-1)
    i = data.draw(st.integers(0, len(flat) - 1))
    whole = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, len(flat))
    flat[i] = data.draw(whole if flat.dtype == np.int32 else st.floats())

    try:
        forged = from_bytes(pack(model, arrays))
    except ModelFileError:
        return
    if kind != "linear":  # a line may leave the range of float64, far from its data
        assert np.isfinite(forged.predict(QUERIES)).all()
    forged.predict(QUERIES)


def a_cycle(arrays):
    split = np.flatnonzero(arrays["feature"] != LEAF)[1]
    arrays["left"][split] = 0


def its_own_child(arrays):
    arrays["left"][0] = 0


def a_node_in_two_places(arrays):
    arrays["right"][0] = arrays["left"][0]


def a_child_in_another_tree(arrays):
    arrays["right"][0] = arrays["root"][1] + 1


def a_child_beyond_the_end(arrays):
    arrays["right"][0] = 2**31 - 1


def a_negative_child(arrays):
    arrays["right"][0] = -7


def a_leaf_with_a_child(arrays):
    leaf = np.flatnonzero(arrays["feature"] == LEAF)[0]
    arrays["left"][leaf] = leaf + 1


def an_input_that_does_not_exist(arrays):
    arrays["feature"][0] = 2


def a_negative_input(arrays):
    arrays["feature"][0] = -2


def a_threshold_that_is_no_number(arrays):
    arrays["threshold"][0] = np.nan


def an_infinite_value(arrays):
    arrays["value"][-1] = np.inf


def a_value_that_sums_to_infinity(arrays):
    arrays["value"][:] = 1e308


def roots_out_of_order(arrays):
    arrays["root"][:] = arrays["root"][::-1].copy()


def a_root_inside_a_tree(arrays):
    arrays["root"][1] += 1


def a_root_beyond_the_end(arrays):
    arrays["root"][-1] = len(arrays["feature"])


def no_root_at_all(arrays):
    arrays["root"] = arrays["root"][:0]


def no_nodes_at_all(arrays):
    for name in ("feature", "threshold", "left", "right", "value"):
        arrays[name] = arrays[name][:0]


def a_feature_for_each_of_fewer_nodes(arrays):
    arrays["feature"] = arrays["feature"][:-1]


def features_without_a_dimension(arrays):
    arrays["feature"] = np.array(0, np.int32)


def children_in_float64(arrays):
    arrays["left"] = arrays["left"].astype(np.float64)


def a_type_that_is_not_read(arrays):
    arrays["left"] = arrays["left"].astype(np.int64)


def one_output_too_many(arrays):
    arrays["value"] = np.hstack([arrays["value"], arrays["value"][:, :1]])


def an_array_missing(arrays):
    del arrays["threshold"]


def a_summary_missing(arrays):
    del arrays["input_sd"]


def an_array_too_many(arrays):
    arrays["extra"] = np.zeros(3)


def a_range_that_ends_before_it_begins(arrays):
    arrays["input_ranges"] = arrays["input_ranges"][:, ::-1]


def a_negative_deviation(arrays):
    arrays["output_sd"][0] = -1.0


def a_tree_of_endless_depth(arrays):
    depth = MAX_DEPTH + 1
    here = np.arange(2 * depth + 1)
    inner = (here % 2 == 0) & (here < 2 * depth)
    arrays["root"] = np.zeros(1, np.int32)
    arrays["feature"] = np.where(inner, 0, LEAF).astype(np.int32)
    arrays["threshold"] = np.zeros(len(here))
    arrays["left"] = np.where(inner, here + 1, LEAF).astype(np.int32)
    arrays["right"] = np.where(inner, here + 2, LEAF).astype(np.int32)
    arrays["value"] = np.zeros((len(here), 2))


FORGERIES = [
    a_cycle, its_own_child, a_node_in_two_places, a_child_in_another_tree, a_child_beyond_the_end, a_negative_child,
    a_leaf_with_a_child, an_input_that_does_not_exist, a_negative_input, a_threshold_that_is_no_number,
    an_infinite_value, a_value_that_sums_to_infinity, roots_out_of_order, a_root_inside_a_tree,
    a_root_beyond_the_end, no_root_at_all, no_nodes_at_all, a_feature_for_each_of_fewer_nodes,
    features_without_a_dimension, children_in_float64, a_type_that_is_not_read, one_output_too_many,
    an_array_missing, a_summary_missing, an_array_too_many, a_range_that_ends_before_it_begins,
    a_negative_deviation, a_tree_of_endless_depth,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_forged_forest_is_refused(forge):
    model, arrays = parts("random_forest")
    forge(arrays)

    with pytest.raises(ModelFileError) as refusal:
        from_bytes(pack(model, arrays))

    assert "checksum" not in str(refusal.value)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_a_linear_model_that_divides_by_nothing_is_refused(scale):
    model, arrays = parts("linear")
    arrays["scale"][0] = scale

    with pytest.raises(ModelFileError, match="'scale'"):
        from_bytes(pack(model, arrays))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "format and version"),
        ({"version": 4}, "'version': 4"),
        ({"version": True}, "'version': True"),
        ({"version": [2]}, "'version': "),
        ({"choice": "linear"}, "choice is not an object"),
        ({"kind": "magic"}, "no kind of surrogate 'magic'"),
        ({"kind": ["linear"]}, "no kind of surrogate"),
        ({"kind": "linear", "params": {}}, "the arrays"),
        ({"params": {"n_trees": 10**9}}, "n_trees of random_forest must be"),
        ({"params": {"__reduce__": 1}}, "no hyperparameter '__reduce__'"),
        ({"params": [1]}, "not an object"),
        ({"inputs": ["a", "a"]}, "inputs of the model"),
        ({"inputs": []}, "inputs of the model"),
        ({"inputs": ["a", 1]}, "inputs of the model"),
        ({"inputs": "ab"}, "inputs of the model"),
        ({"outputs": ["a"]}, "shape"),
        ({"n_rows": 0}, "number of rows"),
        ({"n_rows": True}, "number of rows"),
        ({"n_rows": 1e9}, "number of rows"),
        ({"code": "import os"}, "fields"),
    ],
)
def test_a_forged_description_is_refused(change, words):
    model, arrays = parts("random_forest")

    with pytest.raises(ModelFileError, match=words):
        from_bytes(pack(model | change, arrays))


def header_and(header, data=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "shape", [[2**40], [2**62, 2**62], [0, 2**64], [0, 2**62, 8], [1] * 70, [-1], [1.5], ["1"], [2**70], None]
)
def test_a_claimed_shape_takes_no_memory(shape):
    model, _ = parts("linear")
    arrays = {"center": {"dtype": "F64", "shape": shape, "data_offsets": [0, 8]}}
    empty = {"center": {"dtype": "F64", "shape": shape, "data_offsets": [0, 0]}}
    metadata = {"__metadata__": {"model": json.dumps(model | {"sha256": ""})}}

    for header, data in ((arrays, b"\0" * 8), (empty, b"")):
        with pytest.raises(ModelFileError):
            from_bytes(header_and(metadata | header, data))


def test_a_header_that_claims_more_than_there_is_is_refused():
    for claimed in (2**64 - 1, 2**63, 2**40, model_file.LARGEST_HEADER + 1):
        with pytest.raises(ModelFileError, match="safetensors header"):
            from_bytes(claimed.to_bytes(8, "little") + FILES["linear"][8:])


def test_brackets_within_brackets_are_refused():
    deep = "[" * 100_000

    for text in (deep, '{"__metadata__":' + deep, json.dumps({"__metadata__": {"model": deep}})):
        with pytest.raises(ModelFileError):
            from_bytes(len(text).to_bytes(8, "little") + text.encode())


@pytest.mark.parametrize("field", ["sha256", "params", "kind", "format", "n_rows", "inputs"])
def test_brackets_at_the_limit_of_recursion_are_refused(field):
    model, arrays = parts("linear")
    rest = json.dumps({"sha256": ""} | {key: value for key, value in model.items() if key != field})

    for depth in range(500, 1000, 9):  # somewhere here the text can be read, but its content not be shown
        brackets = "[" * depth + "]" * depth
        with pytest.raises(ModelFileError):
            from_bytes(to_safetensors(arrays, {"model": f'{rest[:-1]}, "{field}": {brackets}}}'}))


def test_no_more_than_the_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "LARGEST_FILE", 1000)
    with (tmp_path / "model").open("wb") as file:
        file.truncate(2**40)  # a hole: a terabyte that takes no room

    with pytest.raises(ModelFileError, match="larger than 1000 bytes"):
        load(tmp_path / "model")


def test_a_missing_file_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


# Never code


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_does_not_run(tmp_path):
    proof = tmp_path / "it ran"
    payload = pickle.dumps(Payload(proof))
    pickle.loads(payload).close()
    assert proof.exists(), "the payload works where something unpickles it"
    proof.unlink()
    model, arrays = parts("linear")
    np.save(tmp_path / "object.npy", np.array([Payload(proof)], dtype=object), allow_pickle=True)
    forged = [
        payload,
        payload + FILES["linear"],
        FILES["linear"] + payload,
        (tmp_path / "object.npy").read_bytes(),
        pack(model | {"params": {"alpha": payload.hex()}}, arrays),
        pack(model, arrays | {"payload": np.frombuffer(payload, np.uint8)}),
        pack(model, arrays | {"intercept": np.frombuffer(payload[: len(payload) // 8 * 8], np.float64)}),
    ]

    for content in forged:
        (tmp_path / "model").write_bytes(content)
        with pytest.raises(ModelFileError):
            load(tmp_path / "model")

    assert not proof.exists()
