"""Conversion to and from other frameworks: weights for Keras and PyTorch, models in ONNX."""

from sklstm.interop.keras import from_keras, to_keras
from sklstm.interop.onnx import register_onnx_converters, to_onnx
from sklstm.interop.torch import from_torch, to_torch

__all__ = [
    "from_keras",
    "from_torch",
    "register_onnx_converters",
    "to_keras",
    "to_onnx",
    "to_torch",
]
