"""The parameters that LSTMRegressor and LSTMClassifier share, and the rules that they follow."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils._param_validation import Interval, Options, StrOptions

from sklstm.nn.head import POOLINGS
from sklstm.nn.losses import Loss
from sklstm.nn.model import Model
from sklstm.nn.sequences import Sequences, own_precision
from sklstm.nn.training import Settings
from sklstm.pickling import VersionedEstimator
from sklstm.validation import check_layer_sizes

__all__ = ["TRAINED_SKIP_RATE", "LSTMParameters"]

# Samples per update with batch_size="auto": a power of two of about an eighth of the samples,
# between these. Small sets need more updates per epoch than 32 samples per update would give; on
# the training parts of forecasting sets of 70 to 250 rows, 8 and 16 make errors that are 1.5 %
# smaller than 32 does. Samples that fit into one batch are one batch, so that a weight of two is
# exactly the sample given twice.
MIN_BATCH_SIZE, MAX_BATCH_SIZE = 8, 32

# The same with train_on="series": a sixteenth of the samples, between so many windows of rows. More
# make an epoch cheaper, fewer give short series more updates. On the training parts of the
# forecasting sets, 4 and 8 windows of rows make errors that are 1.5 and 2 % larger than those of
# windows by themselves; an epoch on 8 takes two thirds of the time of one on 4. Fewer than 64 rows
# leave so few windows in a batch that NumPy's calls cost more than what they compute.
WINDOWS_IN_BATCH = 4, 8
MIN_ROWS_IN_BATCH = 64

# Updates that an epoch must have to count as one in n_iter_no_change, where the training loss
# decides when to stop. An epoch of a small set has few, and ten of them say little: with 50 curves,
# training used to end before it had learned to classify them (accuracy on GunPoint in
# cross-validation within the training part 0.72, with this rule 0.91).
MIN_UPDATES = 30

# Learning rate of a linear part that starts from zero, as a fraction of that of the rest: it has
# many more columns than a hidden state, which would drown the LSTM.
TRAINED_SKIP_RATE = 1 / 3

# Most columns that linear_skip="auto" reads: the cost of the ridge grows with their third power,
# 0.1 s for 512 and 8 s for 3,200. There are also at least two samples for each column.
MAX_LINEAR_COLUMNS = 512


# Below this bound on the number of columns, that is below 32 samples, linear_skip="auto" is 0: a
# ridge on so few samples says little, and its residuals are fitted to the last digit.
MIN_LINEAR_COLUMNS = 16


# With return_sequences, the most steps before its own that linear_skip="auto" reads at a step, as a
# fraction of the steps of a sequence. So many of the first steps have too few before them, and the
# ridge leaves out no more than a sixth.
MOST_STEPS_BEFORE = 1 / 6


class LSTMParameters(VersionedEstimator, metaclass=ABCMeta):
    """An estimator with the parameters of an LSTM; ``__init__`` only assigns them."""

    # What pooling="auto" means.
    _AUTO_POOLING: ClassVar[tuple[str, ...]] = ("last",)

    # Samples from which early_stopping="auto" is on. Four samples set aside say little, but the
    # mixture with a ridge then stays close to the ridge, and an LSTM that is trained to the end on
    # few samples fits their noise. On 34 and 48 rows of the training parts of the forecasting sets
    # and of five generated series, errors are 1.08 and 1.02 of those of a ridge with this value,
    # 1.31 and 1.21 with 50.
    _MIN_SAMPLES_TO_STOP_EARLY: ClassVar[int] = 32

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "bidirectional": ["boolean"],
        "return_sequences": ["boolean"],
        "pooling": [StrOptions({"auto", *POOLINGS}), tuple, list],
        "linear_skip": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "train_on": [StrOptions({"windows", "series"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "adaptive", "cosine"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_split": [StrOptions({"last", "random"})],
        "validation_gap": [Interval(Integral, 0, None, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "timesteps": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [
            StrOptions({"float32", "float64"}),
            Options(np.dtype, {np.dtype("float32"), np.dtype("float64")}),
            Options(type, {np.float32, np.float64}),
            None,
        ],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
    }

    @abstractmethod
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int],
        *,
        bidirectional: bool,
        return_sequences: bool,
        pooling: str | Sequence[str],
        linear_skip: int | str,
        train_on: str,
        dropout: float,
        recurrent_dropout: float,
        alpha: float,
        batch_size: int | str,
        learning_rate: str,
        learning_rate_init: float,
        max_iter: int,
        shuffle: bool,
        max_grad_norm: float | None,
        tol: float,
        n_iter_no_change: float,
        early_stopping: bool | str,
        validation_fraction: float,
        validation_split: str,
        validation_gap: int,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        timesteps: int | None,
        dtype: DTypeLike | None,
        random_state: int | np.random.RandomState | None,
        verbose: bool | int,
        warm_start: bool,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.pooling = pooling
        self.linear_skip = linear_skip
        self.train_on = train_on
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.max_grad_norm = max_grad_norm
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.timesteps = timesteps
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    # What they mean.

    def _check_parameters(self) -> None:
        """Check each parameter, and that they agree with each other."""
        self._validate_params()
        for name, expected in (
            ("hidden_layer_sizes", "a number of units or several"),
            ("linear_skip", "a number of time steps or 'auto'"),
            ("timesteps", "a number of time steps or None"),
        ):
            if isinstance(getattr(self, name), bool):  # which is an int for Python
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} must not be a bool but "
                    f"{expected}, got {getattr(self, name)}."
                )
        self._check_return_sequences()
        self._check_train_on()
        if self.early_stopping and self.validation_gap > 0 and self.validation_split == "random":
            raise ValueError(
                f"validation_gap={self.validation_gap} leaves out samples between the training "
                "part and the validation part, which validation_split='random' mixes. Use "
                "validation_split='last', or validation_gap=0."
            )

    def _dtype_for(self, sequences: Sequences) -> np.dtype:
        """Return the precision of a new model."""
        return own_precision(sequences.dtype) if self.dtype is None else np.dtype(self.dtype)

    def _stops_early(self, n_samples: int) -> bool:
        """Return whether part of the samples is set aside to decide when to stop."""
        if self.early_stopping == "auto":
            return n_samples >= self._MIN_SAMPLES_TO_STOP_EARLY
        return bool(self.early_stopping)

    def _checked_pooling(self) -> tuple[str, ...]:
        """Check ``pooling`` and return it as a tuple."""
        if self.pooling == "auto":
            return self._AUTO_POOLING if self._reads_end_of_sequences else ("last",)
        names = (self.pooling,) if isinstance(self.pooling, str) else tuple(self.pooling)
        if not names or any(name not in POOLINGS for name in names) or len(set(names)) < len(names):
            raise ValueError(
                f"pooling must be 'auto', one of {', '.join(map(repr, POOLINGS))}, or a tuple of "
                f"these without repetition, got {self.pooling!r}."
            )
        return names

    @property
    def _reads_end_of_sequences(self) -> bool:
        """Whether the head reads each sequence once, and not at many of its steps."""
        return not self.return_sequences and self.train_on == "windows"

    def _check_return_sequences(self) -> None:
        """Refuse options that say something else than an output for each step."""
        pooling = self._checked_pooling()
        if not self.return_sequences:
            return
        if pooling != ("last",):
            raise ValueError(
                f"return_sequences=True needs pooling='last' or 'auto', got {self.pooling!r}. The "
                "output of a time step is made from the hidden state of that step."
            )
        if self.train_on == "series":
            raise ValueError(
                "return_sequences=True and train_on='series' do not go together: one asks for a "
                "target at each step of each sequence, the other for one target for each window. "
                "Use train_on='windows'."
            )

    def _check_train_on(self) -> None:
        """Refuse options with which the output for a row would depend on its stretch."""
        if self.train_on != "series":
            return
        if self.bidirectional:
            raise ValueError(
                "train_on='series' needs bidirectional=False. Training goes through stretches of "
                "the series, and the backward direction would read the steps after a row, which "
                "its window does not hold. Use train_on='windows'."
            )
        if self._checked_pooling() != ("last",):
            raise ValueError(
                f"train_on='series' needs pooling='last' or 'auto', got {self.pooling!r}. Training "
                "goes through stretches of the series, and a mean or maximum would be over other "
                "steps than those of a window. Use train_on='windows'."
            )

    def _n_recent(self, sequences: Sequences, total_weight: float) -> int:
        """Return how many time steps the linear part of a new model reads.

        A weight of 2 counts as two samples.
        """
        if self.linear_skip != "auto":
            return int(self.linear_skip)
        n_columns = int(min(MAX_LINEAR_COLUMNS, total_weight // 2))
        if n_columns < MIN_LINEAR_COLUMNS:
            return 0
        n_steps = sequences.n_timesteps
        if self.return_sequences:
            n_steps = 1 + int(n_steps * MOST_STEPS_BEFORE)
        return min(n_steps, n_columns // sequences.n_features)

    def _n_in_batch(self, n_samples: int, window_size: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        if self.train_on == "series":
            least, most = (n * window_size for n in WINDOWS_IN_BATCH)
            return max(least, min(n_samples // 16, most), MIN_ROWS_IN_BATCH)
        if n_samples <= MAX_BATCH_SIZE:
            return MAX_BATCH_SIZE
        power = 1 << max(0, (n_samples // 8).bit_length() - 1)
        return min(max(power, MIN_BATCH_SIZE), MAX_BATCH_SIZE)

    def _check_same_form(self, model: Model) -> None:
        """Refuse to continue training a model of another form."""
        network = model.network
        n_steps = network.n_recent // network.n_features
        is_free = self.pooling == "auto" and self._reads_end_of_sequences
        for name, now, before in (
            (
                "hidden_layer_sizes",
                check_layer_sizes(self.hidden_layer_sizes),
                network.hidden_layer_sizes,
            ),
            ("bidirectional", bool(self.bidirectional), network.bidirectional),
            ("return_sequences", bool(self.return_sequences), model.return_sequences),
            (
                "pooling",
                network.pooling if is_free else self._checked_pooling(),
                network.pooling,
            ),
            (
                "linear_skip",
                n_steps if self.linear_skip == "auto" else int(self.linear_skip),
                n_steps,
            ),
        ):
            if now != before:
                raise ValueError(
                    f"{name} is now {now}, but the network to continue training was made with "
                    f"{name}={before}. Set warm_start=False and call fit to start again."
                )

    @property
    @abstractmethod
    def _skip_rate(self) -> float:
        """Learning rate of the linear part, as a fraction of that of the rest."""

    def _settings(
        self, loss: Loss, n_epochs: int, n_samples: int, n_timesteps: int, *, is_validated: bool
    ) -> Settings:
        """Return how to train on some samples."""
        batch_size, patience = self._n_in_batch(n_samples, n_timesteps), self.n_iter_no_change
        if not is_validated:
            n_updates = -(-n_samples // batch_size)
            if n_updates > 1:  # the loss of full batches is not noisy
                patience *= max(1, -(-MIN_UPDATES // n_updates))
        return Settings(
            loss=loss,
            n_epochs=n_epochs,
            max_iter=self.max_iter,
            batch_size=batch_size,
            alpha=self.alpha,
            max_grad_norm=self.max_grad_norm,
            shuffle=self.shuffle,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            learning_rate=self.learning_rate,
            learning_rate_init=self.learning_rate_init,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            tol=self.tol,
            n_iter_no_change=patience,
            skip_rate=self._skip_rate,
        )
