import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.transformations.series.adapt import TabularToSeriesAdaptor

from sklstm import LSTMRegressor
from sklstm.datasets import load_sunspots

_, y = load_sunspots(return_X_y=True)
series = pd.Series(y)

time_in_the_middle = FunctionTransformer(np.transpose, kw_args={"axes": (0, 2, 1)})
lstm = make_pipeline(time_in_the_middle, LSTMRegressor(early_stopping=True, random_state=0))
reduction = make_reduction(
    lstm,
    window_length=24,
    strategy="recursive",
    scitype="time-series-regressor",  # 3-D; for any regressor of scikit-learn it takes 2-D
)
forecaster = TransformedTargetForecaster(
    [("scale", TabularToSeriesAdaptor(StandardScaler())), ("forecast", reduction)]
)
forecaster.fit(series[:249], fh=range(1, 12))
forecast = forecaster.predict()
