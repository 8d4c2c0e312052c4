import numpy as np
import onnxruntime

from sklstm import LSTMClassifier
from sklstm.interop import to_onnx

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 20, 3)).astype(np.float32)
y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
model = LSTMClassifier(16, max_iter=30, n_iter_no_change=3, random_state=0).fit(X, y)

with open("model.onnx", "wb") as file:
    file.write(to_onnx(model).SerializeToString())

# Where the model is used:
session = onnxruntime.InferenceSession("model.onnx")
label, probabilities = session.run(["label", "probabilities"], {"X": X})
