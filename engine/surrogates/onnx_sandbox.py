"""The process in which an ONNX file from outside is looked at first: with little memory, little time, and nothing else.

    python -m engine.surrogates.onnx_sandbox < request > answer

The request is a line of JSON, {"n_outputs", "probe": rows of inputs}, and then the file. The answer is a
line of JSON: {"outputs": predictions of the probe} or {"refused": why}. Whatever else happens, such as an end by the
limits below, is a refusal too: ``engine.surrogates.onnx_import`` puts it into words.
"""

import json
import resource
import sys
from typing import Any

MOST_MEMORY = 2 * 2**30
"""Bytes of address space: onnxruntime itself takes about a quarter of it."""

MOST_CPU_SECONDS = 20

BATCH = 256
"""Rows that are predicted at once, here and ever after: what fitted into the memory here fits there."""

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
    """Answer one request."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    try:
        look_at(content)
        answer: dict[str, Any] = {"outputs": _probed(content, request)}
    except Refused as refused:
        answer = {"refused": str(refused)}
    sys.stdout.write(json.dumps(answer))


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
        raise Refused(f"it is not sound: {str(error).splitlines()[0]:.200}") from error


def open_session(content: bytes) -> Any:
    """Return an onnxruntime session in one thread: its sums would differ in several."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say comes as an exception
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_session(session: Any, X: Any) -> Any:
    """Return the predictions (n, m) of a session for X (n, d), float64, BATCH rows at a time.

    Raises:
        Refused: it does not take one matrix, or one column for each input, of numbers; or does not give one row of
            numbers for each row.
    """
    import numpy as np

    parts = [_run_batch(session, X[start : start + BATCH]) for start in range(0, len(X), BATCH)]
    return np.concatenate(parts) if parts else _run_batch(session, np.zeros((1, X.shape[1])))[:0]


def _run_batch(session: Any, X: Any) -> Any:
    import numpy as np

    types = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    taken = session.get_inputs()
    if unfit := [each.name for each in taken if each.type not in types]:
        raise Refused(f"its input {unfit[0]!r} is not a tensor of float or double")
    if len(taken) == 1:
        given = {taken[0].name: X.astype(types[taken[0].type])}
    elif len(taken) == X.shape[1]:
        given = {each.name: X[:, [j]].astype(types[each.type]) for j, each in enumerate(taken)}
    else:
        raise Refused(f"it takes {len(taken)} inputs, but {X.shape[1]} tags are declared")
    try:
        found = session.run(None, given)
    except Exception as error:  # onnxruntime has many, none of them public
        raise Refused(f"it cannot be run with {X.shape[1]} inputs: {str(error).splitlines()[0]:.200}") from error
    columns = [np.asarray(each) for each in found]
    for each in columns:
        if each.dtype.kind not in "fiu" or each.ndim not in (1, 2) or len(each) != len(X):
            raise Refused(f"it answers {len(X)} rows with an array of {each.dtype} and shape {each.shape}")
    return np.column_stack([each.astype(np.float64) for each in columns])


def _probed(content: bytes, request: dict[str, Any]) -> list[list[float]]:
    """Return the predictions of the probe; every row must be predicted as it is alone."""
    import numpy as np

    X = np.array(request["probe"], dtype=np.float64)
    try:
        session = open_session(content)
    except Exception as error:
        raise Refused(f"onnxruntime cannot load it: {str(error).splitlines()[0]:.200}") from error
    _run_batch(session, np.resize(X, (BATCH, X.shape[1])))  # whether a full batch fits into the memory
    Y = run_session(session, X)
    if Y.shape[1] != request["n_outputs"]:
        raise Refused(f"it gives {Y.shape[1]} outputs, but {request['n_outputs']} tags are declared")
    if not np.isfinite(Y).all():
        raise Refused("it predicts values that are no finite numbers within the declared bounds")
    alone = np.concatenate([_run_batch(session, X[[i]]) for i in range(len(X))])
    if not np.allclose(alone, Y, rtol=1e-5, atol=1e-7 * float(np.abs(Y).max(initial=0))):
        raise Refused("its prediction of a row depends on the rows that are asked for with it")
    predictions: list[list[float]] = Y.tolist()
    return predictions


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
