"""The process in which an ONNX file from outside is looked at and run: with little memory and time, and nothing else.

    python -P engine/surrogates/onnx_sandbox.py < requests > answers

``engine.surrogates.onnx_worker`` starts it and talks with it. First comes a line of JSON, {"n_bytes"}, and the file;
the answer is {"ready": true} or {"refused": why}. Then, as often as wanted, a line {"shape": [n, d]} and X, n d numbers
of float64; the answer is {"shape": [n, m]} and Y alike, or {"refused": why}. Whatever else happens, such as an end by
the limits below, is a refusal too. Who is asked nothing for a while ends.

By the time the file is read no further file, socket or process can be opened, and nothing can be written but answers.
This file imports nothing of ours, so that starting it loads only what it needs.
"""

import importlib
import json
import os
import select
import sys
from typing import Any, BinaryIO

MOST_MEMORY = 2 * 2**30
"""Bytes of address space: onnxruntime itself takes about a quarter of it."""

MOST_CPU_SECONDS = 20
"""Processor time for loading the file, and for each request."""

IDLE_SECONDS = 60

BATCH = 64
"""Rows that are predicted at once, the last of them repeated where there are fewer: a kernel may round differently for
another number of rows, and a row shall get the same bits in any company. A file that fixes a number gets that."""

LARGEST_BATCH = 4096

LONGEST_LINE = 10_000

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")

_NAMES = (
    "Abs Add And ArrayFeatureExtractor Binarizer Cast Ceil Clip Concat Constant Cos Div Elu Equal Erf Exp "
    "FeatureVectorizer Flatten Floor Gather GatherElements Gelu Gemm Greater GreaterOrEqual HardSigmoid Identity "
    "Imputer IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual LinearRegressor Log MatMul Max Mean Min "
    "Mul Neg Normalizer Not Or PRelu Pow Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum "
    "ReduceSumSquare Relu Reshape Round SVMRegressor Scaler Selu Sigmoid Sign Sin Slice Softmax Softplus Softsign "
    "Split Sqrt Squeeze Sub Sum Tan Tanh Transpose TreeEnsemble TreeEnsembleRegressor Unsqueeze Where Xor"
)
OPERATORS = frozenset(_NAMES.split())
"""What a regression needs. Loops, branches, random numbers, strings, and whatever makes much out of little stay out."""


class Refused(Exception):  # noqa: N818  (an answer, not a fault)
    """The file is not one that will be run."""


def main() -> None:
    """Look at one file, then answer requests until they end."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    _load_libraries()
    _limit()
    try:
        header = json.loads(requests.readline(LONGEST_LINE))
        content = requests.read(header["n_bytes"])
        look_at(content)
        session = _opened(content)
    except Refused as refused:
        _tell(answers, {"refused": str(refused)})
        return
    del content
    _tell(answers, {"ready": True})
    while shape := _asked(requests):
        _answer(session, requests, answers, shape)


def _load_libraries() -> None:
    """Import what will be needed while files can still be opened."""
    for name in ("google.protobuf.message", "numpy", "onnx.checker", "onnxruntime"):
        importlib.import_module(name)


def _limit() -> None:
    """Give up what is not needed from here on."""
    import resource  # Unix has it; to import this file is possible everywhere

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    for given_up in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
        resource.setrlimit(given_up, (0, 0))
    _allow_time()


def _allow_time() -> None:
    """Let this process compute for MOST_CPU_SECONDS from now; then the system ends it."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + MOST_CPU_SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _asked(requests: BinaryIO) -> list[int] | None:
    """Return the shape of the next X; None when nobody asks any more."""
    ready, _, _ = select.select([requests], [], [], IDLE_SECONDS)
    line = requests.readline(LONGEST_LINE) if ready else b""
    return json.loads(line)["shape"] if line else None


def _answer(session: Any, requests: BinaryIO, answers: BinaryIO, shape: list[int]) -> None:
    import numpy as np

    X = np.frombuffer(requests.read(shape[0] * shape[1] * 8)).reshape(shape)
    _allow_time()
    try:
        Y = run_session(session, X)
    except Refused as refused:
        _tell(answers, {"refused": str(refused)})
    else:
        _tell(answers, {"shape": Y.shape}, Y.tobytes())


def _tell(answers: BinaryIO, line: dict[str, Any], content: bytes = b"") -> None:
    answers.write(json.dumps(line).encode() + b"\n" + content)
    answers.flush()


def look_at(content: bytes) -> None:
    """Refuse a file that is not plain arithmetic, without running it.

    Raises:
        Refused: it is no ONNX model, keeps data elsewhere, or uses an operator, a domain or a type that is not allowed.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise Refused("it is not an ONNX file") from error
    if not model.graph.node:
        raise Refused("it is not an ONNX file, or one without a computation")
    if model.functions or model.training_info or model.graph.sparse_initializer:
        raise Refused("it defines functions, training or sparse tensors, which are not read")
    for tensor in model.graph.initializer:
        _look_at_tensor(tensor)
    for node in model.graph.node:
        if node.domain not in DOMAINS or node.op_type not in OPERATORS:
            raise Refused(f"it uses the operator {_name(node)}, which is not one of those that are run")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise Refused(f"the operator {_name(node)} holds a graph of its own, which is not run")
            for tensor in (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors):
                _look_at_tensor(tensor)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise Refused(f"it is not sound: {_first_line(error)}") from error


def open_session(content: bytes) -> Any:
    """Return an onnxruntime session in one thread: its sums would differ in several."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say comes as an exception
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_session(session: Any, X: Any) -> Any:
    """Return the predictions (n, m) of a session for X (n, d), n >= 1, float64, a batch at a time.

    Raises:
        Refused: it does not take one matrix, or one column for each input, of numbers; or does not give one row of
            numbers for each row.
    """
    import numpy as np

    size = _batch_size(session)
    batches = [X[start : start + size] for start in range(0, len(X), size)]
    batches[-1] = np.concatenate([batches[-1], np.repeat(batches[-1][-1:], size - len(batches[-1]), axis=0)])
    return np.concatenate([_run_batch(session, batch) for batch in batches])[: len(X)]


def _batch_size(session: Any) -> int:
    fixed = {given.shape[0] for given in session.get_inputs() if given.shape and isinstance(given.shape[0], int)}
    if not all(1 <= size <= LARGEST_BATCH for size in fixed):
        raise Refused(f"it takes {max(fixed)} rows at once; from 1 to {LARGEST_BATCH} are given")
    return min(fixed, default=BATCH)


def _run_batch(session: Any, X: Any) -> Any:
    import numpy as np

    types = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    taken = session.get_inputs()
    if unfit := [each.name for each in taken if each.type not in types]:
        raise Refused(f"its input {unfit[0]!r:.60} is not a tensor of float or double")
    with np.errstate(over="ignore"):
        if len(taken) == 1:
            given = {taken[0].name: X.astype(types[taken[0].type])}
        elif len(taken) == X.shape[1]:
            given = {each.name: X[:, [j]].astype(types[each.type]) for j, each in enumerate(taken)}
        else:
            raise Refused(f"it takes {len(taken)} inputs, but {X.shape[1]} tags are declared")
    try:
        found = session.run(None, given)
    except Exception as error:  # onnxruntime has many, none of them public
        raise Refused(f"it cannot be run with {X.shape[1]} inputs: {_first_line(error)}") from error
    columns = [np.asarray(each) for each in found]
    for each in columns:
        if each.dtype.kind not in "fiu" or each.ndim not in (1, 2) or len(each) != len(X):
            raise Refused(f"it answers {len(X)} rows with an array of {each.dtype} and shape {each.shape}")
    return np.column_stack([each.astype(np.float64) for each in columns])


def _opened(content: bytes) -> Any:
    try:
        return open_session(content)
    except Exception as error:
        raise Refused(f"onnxruntime cannot load it: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return f"{(str(error).splitlines() or [''])[0]:.200}"


def _look_at_tensor(tensor: Any) -> None:
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise Refused(f"the tensor {tensor.name!r:.60} keeps its data in another file, which is not read")
    if tensor.data_type == onnx.TensorProto.STRING:
        raise Refused(f"the tensor {tensor.name!r:.60} holds text, which is not read")


def _name(node: Any) -> str:
    return f"{node.domain + '.' if node.domain else ''}{node.op_type}"[:80]


if __name__ == "__main__":
    main()
