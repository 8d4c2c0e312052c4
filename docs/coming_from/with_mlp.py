from numpy.lib.stride_tricks import sliding_window_view
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm.datasets import load_sunspots

y = load_sunspots().target
lags = sliding_window_view(y[:-1], 24)
scale = y[:249].std()  # the target is not scaled for you

model = make_pipeline(
    StandardScaler(),
    MLPRegressor(
        hidden_layer_sizes=(32,),
        early_stopping=True,
        random_state=0,
    ),
)
model.fit(lags[:225], y[24:249] / scale)
y_pred = scale * model.predict(lags[225:])
