import pandas as pd
from skforecast.direct import ForecasterDirect
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sklstm.datasets import load_sunspots

series = pd.Series(load_sunspots().target)

forecaster = ForecasterDirect(
    estimator=Ridge(),
    steps=3,
    lags=24,
    transformer_y=StandardScaler(),
)
forecaster.fit(series)
y_pred = forecaster.predict()  # the next three years
