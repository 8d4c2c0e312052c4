import numpy as np
import onnxruntime
import skl2onnx
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor
from sklstm.datasets import load_airline
from sklstm.interop import register_onnx_converters

X, y = load_airline(return_X_y=True)
windows = np.lib.stride_tricks.sliding_window_view(y[:-1], 12).astype(np.float32)  # flat: 2-D
target = y[12:]
model = make_pipeline(
    StandardScaler(), LSTMRegressor(16, timesteps=12, early_stopping=True, random_state=0)
).fit(windows, target)

register_onnx_converters()
converted = skl2onnx.to_onnx(model, windows[:1])

session = onnxruntime.InferenceSession(converted.SerializeToString())
(passengers,) = session.run(["variable"], {"X": windows})
