"""Surrogates: trained, stored without pickle, and predicting from plain arrays."""

from engine.surrogates.arrays import NotFinite
from engine.surrogates.encoding import Encoding, UnknownCategory
from engine.surrogates.intervals import Intervals, NotCalibrated, calibrate
from engine.surrogates.kinds import KINDS, check_params, describe_params
from engine.surrogates.model_file import load, save
from engine.surrogates.onnx_export import NotExportable, to_onnx
from engine.surrogates.onnx_import import InputDeclaration, OnnxRefused
from engine.surrogates.onnx_models import import_onnx
from engine.surrogates.routes import measure_routes
from engine.surrogates.surrogate import Surrogate, fit

__all__ = [
    "KINDS",
    "Encoding",
    "InputDeclaration",
    "Intervals",
    "NotCalibrated",
    "NotExportable",
    "NotFinite",
    "OnnxRefused",
    "Surrogate",
    "UnknownCategory",
    "calibrate",
    "check_params",
    "describe_params",
    "fit",
    "import_onnx",
    "load",
    "measure_routes",
    "save",
    "to_onnx",
]
