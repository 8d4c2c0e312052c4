import keras
from numpy.lib.stride_tricks import sliding_window_view

from sklstm.datasets import load_sunspots

y = load_sunspots().target
mean, std = y[:249].mean(), y[:249].std()
z = (y - mean) / std
windows = sliding_window_view(z[:-1], 24)[:, :, None]

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((24, 1)),
        keras.layers.LSTM(32),
        keras.layers.Dense(1),
    ]
)
adam = keras.optimizers.Adam(0.01, global_clipnorm=1.0)
model.compile(optimizer=adam, loss="mse")
stop = keras.callbacks.EarlyStopping(
    patience=10, restore_best_weights=True
)
model.fit(
    windows[:225],
    z[24:249],
    epochs=200,
    verbose=0,
    validation_split=0.1,
    callbacks=[stop],
)
z_pred = model.predict(windows[225:], verbose=0)[:, 0]
y_pred = mean + std * z_pred
