import keras
import numpy as np

from sklstm import LSTMRegressor
from sklstm.datasets import load_airline
from sklstm.interop import from_keras, to_keras

X, y = load_airline(return_X_y=True)
windows = np.lib.stride_tricks.sliding_window_view(y[:-1], 12)[:, :, np.newaxis] / 300
target = y[12:]
# The network below has no linear part.
model = LSTMRegressor((16, 8), linear_skip=0, early_stopping=True, random_state=0)
model.fit(windows, target)

network = keras.Sequential(
    [
        keras.Input((None, 1)),  # any number of steps, of one feature
        keras.layers.LSTM(16, return_sequences=True),
        keras.layers.LSTM(8),
        keras.layers.Dense(1),
    ]
)
network.set_weights(to_keras(model))
passengers = network.predict(windows, verbose=0)[:, 0]

# Convert back, for instance after further training in Keras.
back = from_keras(network.get_weights(), LSTMRegressor((16, 8)))
