"""Surrogates: trained, stored without pickle, and predicting from plain arrays."""

from engine.surrogates.arrays import NotFinite
from engine.surrogates.intervals import Intervals, NotCalibrated, calibrate
from engine.surrogates.kinds import KINDS, check_params, describe_params
from engine.surrogates.model_file import load, save
from engine.surrogates.onnx_export import NotExportable, to_onnx
from engine.surrogates.surrogate import Surrogate, fit

__all__ = [
    "KINDS",
    "Intervals",
    "NotCalibrated",
    "NotExportable",
    "NotFinite",
    "Surrogate",
    "calibrate",
    "check_params",
    "describe_params",
    "fit",
    "load",
    "save",
    "to_onnx",
]
