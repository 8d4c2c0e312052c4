"""EveryStep: numbers of targets, batches, what the linear part reads; and gradients with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference
from support.gradcheck import assert_gradient, complex_step
from support.losses import LOSSES

from sklstm.nn.network import Masks, Network, Workspace
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import DenseSequences, RaggedSequences, WindowSequences
from sklstm.nn.steps import EveryStep
from sklstm.nn.windows import Windows


def with_missing(values, rng, fraction=0.3):
    values = values.copy()
    values[rng.random(values.shape[:-1]) < fraction] = np.nan
    return values


def in_form(form, rng, n_sequences=5, n_timesteps=4, n_features=2):
    """Sequences in a form, and the same as a list of arrays."""
    X = rng.normal(size=(n_sequences, n_timesteps, n_features))
    if form == "dense":
        return DenseSequences(X, has_missing=False), list(X)
    if form == "missing":
        X = with_missing(X, rng)
        X[0] = np.nan
        return DenseSequences(X, has_missing=True), list(X)
    if form == "windows":
        series = with_missing(rng.normal(size=(n_sequences + n_timesteps, n_features)), rng)
        windows = Windows(series, rng.permutation(n_sequences), n_timesteps, 1)
        return WindowSequences(windows, has_missing=True), list(np.asarray(windows))
    X = [x[: rng.integers(n_timesteps + 1)] for x in X]
    X[1] = X[1][:0]
    X[2] = with_missing(rng.normal(size=(n_timesteps + 1, n_features)), rng)
    return RaggedSequences(X, has_missing=True), X


forms = pytest.mark.parametrize("form", ["dense", "missing", "windows", "ragged"])


@forms
def test_targets_are_numbered_sequence_after_sequence(form):
    rng = np.random.default_rng(1)
    sequences, X = in_form(form, rng)
    has_target = rng.random(sum(map(len, X))) < 0.6
    steps = EveryStep(sequences, has_target)
    places = [(j, t) for j, x in enumerate(X) for t in range(len(x))]
    expected = [place for place, kept in zip(places, has_target, strict=True) if kept]
    found = list(zip(steps.sequence.tolist(), steps.step.tolist(), strict=True))
    assert found == expected
    assert (len(steps), steps.n_targets) == (len(X), len(expected))
    for rows in ([3, 0], [1], [], [4, 4, 2]):
        numbers = [k for j in rows for k, (sample, _) in enumerate(expected) if sample == j]
        assert steps.targets(np.array(rows, int)).tolist() == numbers


@forms
def test_the_linear_part_reads_the_steps_up_to_each_target(form, monkeypatch):
    rng = np.random.default_rng(2)
    sequences, X = in_form(form, rng)
    steps = EveryStep(sequences)
    recent = RecentSteps(3, np.array([0.5, -1.0]), np.array([2.0, 0.5]))
    rows = rng.permutation(steps.n_targets)[:7]
    held = []
    for j, t in zip(steps.sequence[rows], steps.step[rows], strict=True):
        before = np.full((3, 2), np.nan)
        held.append(np.concatenate([before, X[j][: t + 1]])[-3:])
    assert_array_equal(steps.steps(rows, 3), held)
    z = np.nan_to_num((np.array(held) - recent.mean) / recent.scale)
    assert_array_equal(steps.recent(rows, recent), z.reshape(len(rows), -1).T)
    assert_array_equal(steps.recent(slice(2, 5), recent), steps.recent(np.arange(2, 5), recent))
    assert steps.recent(np.arange(0), recent).shape == (6, 0)
    monkeypatch.setattr("sklstm.nn.steps._MAX_STEPS", 1)  # one sequence at a time
    assert_array_equal(steps.steps(rows, 3), held)
    assert_array_equal(steps.steps(np.sort(rows), 3), [held[k] for k in np.argsort(rows)])


@forms
@pytest.mark.parametrize("bidirectional", [False, True])
def test_raw_outputs_at_all_steps_equal_the_reference(form, bidirectional):
    rng = np.random.default_rng(3)
    sequences, X = in_form(form, rng)
    network = Network(2, (4, 3), 2, bidirectional)
    parameters = network.initialize(np.random.RandomState(0)) + 0.3 * rng.normal(
        size=network.n_parameters
    )
    steps, rows = EveryStep(sequences), np.array([2, 0, 1, 4])
    batch, order = steps.batch(rows, np.dtype(np.float64))
    raw = network.raw_outputs(parameters, batch, network.state_buffers(np.dtype(np.float64)))
    columns = rows[order]
    truth = [
        reference.every_step(X[j], *network.unpack(parameters), bidirectional) for j in columns
    ]
    assert_allclose(raw.T, np.concatenate(truth), rtol=1e-12, atol=1e-14)


def test_sequences_without_a_single_step_have_the_outputs_of_the_bias():
    X = np.full((2, 3, 2), np.nan)
    network = Network(2, (4,), 2)
    parameters = network.initialize(np.random.RandomState(0))
    network.matrices(parameters)[-1][:, -1] = 5, 7
    steps = EveryStep(DenseSequences(X, has_missing=True))
    batch, _ = steps.batch(slice(None), np.dtype(np.float64))
    raw = network.raw_outputs(parameters, batch, network.state_buffers(np.dtype(np.float64)))
    assert_array_equal(raw, [[5] * 6, [7] * 6])


@st.composite
def problems(draw):
    """A network of any options, sequences, and targets at some of their steps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    loss = draw(st.sampled_from([*LOSSES]))
    network = Network(
        2,
        tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))),
        n_outputs=2 if loss == "quantiles" else draw(st.integers(2, 3)),
        bidirectional=draw(st.booleans()),
        n_recent=draw(st.sampled_from([0, 2, 6])),
    )
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any))
    X = [with_missing(rng.normal(size=(length, 2)), rng, 0.2) for length in lengths]
    is_real = np.concatenate([~np.isnan(x[:, 0]) for x in X])
    has_target = is_real & (rng.random(len(is_real)) < 0.7)
    has_dropout = draw(st.booleans())
    return rng, loss, network, X, has_target, has_dropout


@settings(max_examples=30, deadline=None)
@given(problems())
def test_gradient_of_targets_at_some_steps_equals_the_reference(problem):
    rng, loss, network, X, has_target, has_dropout = problem
    ours, theirs = LOSSES[loss]
    steps = EveryStep(RaggedSequences(X, has_missing=True), has_target)
    n, k = steps.n_targets, network.n_outputs
    target = rng.normal(size=(k, n))
    if loss in ("poisson", "binary"):
        target = rng.integers(2, size=(k, n)).astype(float)
    if loss == "categorical":
        target = np.eye(k)[rng.integers(k, size=n)].T
    weights = rng.uniform(size=n)
    parameters = network.initialize(np.random.RandomState(0))
    parameters += 0.5 * rng.normal(size=len(parameters))
    n_steps = network.n_recent // 2
    recent = RecentSteps(n_steps, np.array([0.1, 0.2]), np.array([1.5, 0.7])) if n_steps else None

    dtype = np.dtype(np.float64)
    batch, order = steps.batch(slice(None), dtype, recent)
    columns = np.arange(len(X))[order]
    targets = steps.targets(columns)
    masks = Masks()
    if has_dropout:
        draw = network.draw_masks
        masks = draw(
            np.random.RandomState(1), len(X), dropout=0.3, recurrent_dropout=0.4, dtype=dtype
        )
    gradient = np.zeros_like(parameters)
    workspace = Workspace(network, dtype, dropping=has_dropout)
    total = network.add_gradient(
        parameters,
        batch,
        target[:, targets],
        weights[targets],
        ours,
        gradient,
        workspace,
        masks.columns(columns),
    )

    def objective(p):
        coefs, intercepts = network.unpack(p)
        value = 0.0
        for j, x in enumerate(X):
            of_j = []
            if has_dropout:
                of_j = [[m[..., j] for m in masks.outputs], [m[..., j] for m in masks.recurrent]]
            raw = reference.every_step(x, coefs, intercepts, network.bidirectional, *of_j)
            for number in np.flatnonzero(steps.sequence == j):
                t = steps.step[number]
                z = raw[t]
                if recent is not None:
                    held = np.concatenate([np.full((n_steps, 2), np.nan), x[: t + 1]])[-n_steps:]
                    z = (
                        z
                        + network.skip_weights(p)
                        @ np.nan_to_num((held - recent.mean) / recent.scale).ravel()
                    )
                value = value + weights[number] * theirs(target[:, number], z)
        return value

    assert_allclose(total, objective(parameters), rtol=1e-12, atol=1e-14)
    assert_gradient(gradient, complex_step(objective, parameters), rtol=1e-9)
