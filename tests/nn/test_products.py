"""Matrix products in pieces: the same as NumPy's own, in every place where they are used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from support.data import make_sequences, make_target

from sklstm import LSTMRegressor
from sklstm.nn import products
from sklstm.nn.products import product

SIZES = st.integers(1, 40)


def cut_all(patch):
    """Cut even small products, whatever BLAS this is."""
    patch.setattr(products, "_knows_small_products", lambda: True)
    patch.setattr(products, "_MOST_WITHOUT_COPY", 100)
    patch.setattr(products, "_LEAST_ROWS", 1)


@given(SIZES, SIZES, SIZES, st.sampled_from("CF"))
def test_a_product_is_that_of_numpy(n_rows, n_inner, n_columns, order):
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(n_rows, n_inner)), rng.normal(size=(n_inner, n_columns))
    out = np.full((n_rows, n_columns), np.nan)
    with pytest.MonkeyPatch.context() as patch:
        cut_all(patch)
        product(np.asarray(A, order=order), n_columns)(x, out)
    assert_allclose(out, A @ x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "n_pieces"),
    [((1024, 289, 3), 1), ((1024, 289, 10), 4), ((500, 126, 64), 5), ((384, 2000, 60), 48)],
)
def test_pieces_are_equal_and_as_few_as_are_small_enough(shape, n_pieces):
    assert products._n_pieces(*shape) == n_pieces


@pytest.mark.parametrize("shape", [(16, 900_000, 2), (97, 388, 32)])
def test_a_matrix_is_not_cut_into_pieces_of_few_rows(shape):
    assert products._n_pieces(*shape) == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_and_prediction_are_the_same_in_pieces(monkeypatch):
    cut_all(monkeypatch)
    X = make_sequences("ragged", 40)
    y = make_target(LSTMRegressor, X)
    params = {"bidirectional": True, "recurrent_dropout": 0.2, "max_iter": 3, "batch_size": 20}
    model = LSTMRegressor((6, 5), random_state=0, early_stopping=False, **params)
    predicted = model.fit(X, y).predict(X)
    monkeypatch.setattr(products, "_knows_small_products", lambda: False)
    expected = model.fit(X, y).predict(X)
    assert_allclose(predicted, expected, rtol=1e-8)
