import pandas as pd
from sklearn.linear_model import Ridge
from sktime.forecasting.compose import make_reduction

from sklstm.datasets import load_sunspots

series = pd.Series(load_sunspots().target)

forecaster = make_reduction(
    Ridge(), window_length=24, strategy="direct"
)
forecaster.fit(series, fh=[1, 2, 3])
y_pred = forecaster.predict()  # the next three years
