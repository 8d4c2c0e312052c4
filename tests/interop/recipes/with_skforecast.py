import numpy as np
import pandas as pd
from skforecast.recursive import ForecasterRecursive
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import LSTMRegressor
from sklstm.datasets import load_sunspots

_, y = load_sunspots(return_X_y=True)
series = pd.Series(y)

oldest_first = FunctionTransformer(np.flip, kw_args={"axis": 1}, validate=True)
forecaster = ForecasterRecursive(
    estimator=make_pipeline(oldest_first, LSTMRegressor(early_stopping=True, random_state=0)),
    lags=24,
    transformer_y=StandardScaler(),
)
forecaster.fit(series[:249])
forecast = forecaster.predict(steps=11)
