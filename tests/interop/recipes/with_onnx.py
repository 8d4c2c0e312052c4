import numpy as np
import onnxruntime
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots
from sklstm.interop import to_onnx

X, y = load_sunspots(return_X_y=True)
model = make_pipeline(
    StandardScaler(),
    SlidingWindow(24, lag=1),
    LSTMRegressor(dtype="float32", random_state=0),
).fit(X, y)

# Once: the network as a file, and the two numbers of the scaler.
scaler, _, network = model
with open("network.onnx", "wb") as file:
    file.write(to_onnx(network).SerializeToString())
mean, scale = scaler.mean_, scaler.scale_

# At the start of the program that predicts:
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # for one sample, threads cost more than they save
session = onnxruntime.InferenceSession("network.onnx", options)
name = session.get_inputs()[0].name


def forecast(last):
    """Forecast the next year from the last 24."""
    window = ((last - mean) / scale).astype(np.float32)
    return session.run(None, {name: window.reshape(1, 24, 1)})[0].item()


next_year = forecast(X[-24:, 0])
