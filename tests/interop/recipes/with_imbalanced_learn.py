import numpy as np
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, SlidingWindow

# A series in which every tenth row or so is an alarm: two large values within five rows.
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 1))
large = X[:, 0] > 1.3
y = np.convolve(large, np.ones(5))[:2000] >= 2

model = make_pipeline(
    StandardScaler(),
    SlidingWindow(5, flatten=True),
    RandomUnderSampler(random_state=0),  # in training only
    LSTMClassifier(timesteps=5, early_stopping=True, random_state=0),
)
model.fit(X[:1500], y[:1500])
score = balanced_accuracy_score(y[1500:], model.predict(X)[1500:])
