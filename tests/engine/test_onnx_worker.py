"""The process that an ONNX file runs in: what it may do, what it may cost, and what becomes of it."""

import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.surrogates import onnx_sandbox, onnx_worker
from engine.surrogates.onnx_worker import OnnxRefused, Worker

W = np.random.default_rng(0).normal(size=(3, 2))


def file_of(nodes, constants, kind=TensorProto.DOUBLE, shape=("n", 3)):
    """Return an ONNX file from "X" to "Y" as bytes in an array."""
    taken = [helper.make_tensor_value_info("X", kind, list(shape))]
    given = [helper.make_tensor_value_info("Y", kind, [shape[0], None])]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", taken, given, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return np.frombuffer(model.SerializeToString(), dtype=np.uint8)


def affine(shape=("n", 3)):
    return file_of([helper.make_node("MatMul", ["X", "W"], ["Y"])], {"W": W}, shape=shape)


def growing(n_steps=0):
    """Return a file that is cheap for small numbers, and of a large number k makes a table of k times k.

    Args:
        n_steps: operators that go over all of it, one after the other.
    """
    crossed = [f"o{i}" for i in range(n_steps + 1)]
    nodes = [
        helper.make_node("ReduceMax", ["X"], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "one"], ["k"]),
        helper.make_node("Slice", ["table", "zero", "k"], ["s"]),
        helper.make_node("Reshape", ["s", "upright"], ["u"]),
        helper.make_node("Reshape", ["s", "flat"], ["v"]),
        helper.make_node("Add", ["u", "v"], [crossed[0]]),
        *[helper.make_node("Sin", [a], [b]) for a, b in pairwise(crossed)],
        helper.make_node("ReduceSum", [crossed[-1]], ["total"], keepdims=0),
        helper.make_node("Add", ["X", "total"], ["Y"]),
    ]
    constants = {"one": [1], "zero": [0], "upright": [-1, 1], "flat": [1, -1], "table": np.zeros(200_000)}
    return file_of(nodes, constants)


@pytest.fixture
def worker():
    made = Worker(affine())
    yield made
    made.close()


def pid_of(worker):
    return worker._sandbox._process.pid


def is_alive(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_row_gets_the_same_bits_in_any_company():
    rng = np.random.default_rng(1)
    constants = {"A": rng.normal(size=(3, 40)).astype(np.float32), "B": rng.normal(size=(40, 2)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", ["X", "A"], ["a"]),
        helper.make_node("Tanh", ["a"], ["h"]),
        helper.make_node("MatMul", ["h", "B"], ["Y"]),
    ]
    worker = Worker(file_of(nodes, constants, kind=TensorProto.FLOAT))
    X = rng.normal(size=(300, 3))
    together = worker.predict(X)

    for rows in (slice(0, 1), slice(17, 18), slice(5, 90), slice(299, None), np.arange(299, -1, -1)):
        np.testing.assert_array_equal(worker.predict(X[rows]), together[rows])


def test_many_rows_are_asked_for_in_parts(worker, monkeypatch):
    monkeypatch.setattr(onnx_worker, "ROWS", 128)
    X = np.random.default_rng(2).normal(size=(1000, 3))

    np.testing.assert_allclose(worker.predict(X), X @ W, rtol=1e-12)


def test_a_file_that_fixes_its_number_of_rows_gets_that():
    X = np.random.default_rng(2).normal(size=(10, 3))

    np.testing.assert_allclose(Worker(affine(shape=(4, 3))).predict(X), X @ W, rtol=1e-12)
    with pytest.raises(OnnxRefused, match="takes 5000 rows at once"):
        Worker(affine(shape=(5000, 3))).predict(X)


def test_a_process_is_kept_for_the_next_question_and_ends_with_its_worker(worker):
    worker.predict(np.ones((1, 3)))
    pid = pid_of(worker)
    worker.predict(np.ones((1, 3)))
    assert pid_of(worker) == pid

    worker.close()
    assert not is_alive(pid)


def test_a_process_ends_when_its_worker_is_forgotten():
    worker = Worker(affine())
    worker.predict(np.ones((1, 3)))
    pid = pid_of(worker)

    del worker
    gc.collect()

    assert not is_alive(pid)


def test_a_process_that_has_gone_is_started_again(worker):
    first = worker.predict(np.ones((1, 3)))
    os.kill(pid_of(worker), signal.SIGKILL)

    np.testing.assert_array_equal(worker.predict(np.ones((1, 3))), first)


def test_a_process_that_is_asked_nothing_ends_itself():
    program = f"import {onnx_sandbox.__name__} as s; s.IDLE_SECONDS = 0.1; s.main()"
    content = affine().tobytes()
    asked = f'{{"n_bytes": {len(content)}}}\n'.encode() + content

    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(onnx_sandbox.__file__).parents[2],
    ) as process:
        process.stdin.write(asked)
        process.stdin.flush()  # and left open: it is not the end of the questions that ends it
        assert process.stdout.readline() == b'{"ready": true}\n'
        assert process.wait(timeout=30) == 0


def test_numbers_that_make_a_file_ask_for_too_much_memory_are_refused_and_harm_nobody():
    worker = Worker(growing())
    small = np.array([[1.0, 2.0, 3.0]])

    np.testing.assert_array_equal(worker.predict(small), small)
    with pytest.raises(OnnxRefused, match=r"memory|cannot be run"):
        worker.predict(small * 50_000)  # 180 GB
    np.testing.assert_array_equal(worker.predict(small), small)


def test_numbers_that_make_a_file_run_too_long_are_refused_and_harm_nobody(monkeypatch):
    worker = Worker(growing(n_steps=150))
    small = np.array([[1.0, 2.0, 3.0]])
    worker.predict(small)
    monkeypatch.setattr(onnx_worker, "ANSWER_SECONDS", 0.5)
    began = time.monotonic()

    with pytest.raises(OnnxRefused, match=r"not run within 0.5 seconds"):
        worker.predict(small * 1000)  # nine million sines for each of 150 steps

    assert time.monotonic() - began < 5
    monkeypatch.undo()
    np.testing.assert_array_equal(worker.predict(small), small)


def test_the_processor_time_of_a_question_is_limited_too():
    limited = f"import {onnx_sandbox.__name__} as s; s.MOST_CPU_SECONDS = 0; s._load_libraries(); s._limit()"
    program = f"{limited}\nwhile True: pass"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(onnx_sandbox.__file__).parents[2], timeout=60, check=False
    )

    assert done.returncode == -signal.SIGXCPU


@pytest.mark.parametrize("forbidden", ["open('/etc/hostname')", "__import__('socket').socket()"])
def test_the_sandbox_can_open_nothing_once_it_reads_a_file(forbidden):
    program = f"import socket, {onnx_sandbox.__name__} as s; s._load_libraries(); s._limit(); {forbidden}"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(onnx_sandbox.__file__).parents[2],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert b"Too many open files" in done.stderr


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no JSON\n",
        b"[1]\n",
        b'{"shape": [1, 2]}\n',
        b'{"shape": [1, 1e9]}\n',
        b'{"shape": [1, 2.0]}\n',
        b"[" * 9000 + b"\n",
        b'{"shape": [1, 2]}\n12',
        b"x" * 50_000,
    ],
)
def test_whatever_a_process_answers_is_numbers_or_a_refusal(answer, tmp_path, monkeypatch):
    impostor = tmp_path / "impostor.py"
    impostor.write_text(
        "import sys\n"
        "sys.stdin.buffer.readline()\n"
        f"sys.stdout.buffer.write(b'{{}}\\n' + {answer!r}); sys.stdout.buffer.flush()"
    )
    monkeypatch.setattr(onnx_sandbox, "__file__", str(impostor))

    with pytest.raises(OnnxRefused, match="stopped"):
        Worker(affine()).predict(np.ones((1, 3)))


def test_a_fork_starts_a_process_of_its_own_and_leaves_ours_alone(worker):
    expected = worker.predict(np.ones((1, 3)))
    pid = pid_of(worker)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        is_same = np.array_equal(worker.predict(np.ones((1, 3))), expected)
        os.write(writing, b"1" if is_same and pid_of(worker) != pid else b"0")
        worker.close()
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 1) == b"1"
    np.testing.assert_array_equal(worker.predict(np.ones((1, 3))), expected)
    assert pid_of(worker) == pid
