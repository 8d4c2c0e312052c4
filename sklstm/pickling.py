"""The base of all estimators: pickles carry the version, and HTML links to the documentation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import sklearn.utils.metaestimators
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from sklstm._version import __version__

__all__ = ["OtherVersionWarning", "VersionedEstimator", "available_if"]

Method = TypeVar("Method", bound=Callable[..., Any])


class OtherVersionWarning(InconsistentVersionWarning):
    """Warning that an estimator was saved by another version of sklstm.

    Parameters
    ----------
    estimator_name : str
        Name of its class.
    made_by : str
        Version of sklstm that saved the file.
    """

    def __init__(self, estimator_name: str, made_by: str) -> None:
        self.estimator_name, self.made_by = estimator_name, made_by

    def __str__(self) -> str:
        return (
            f"This {self.estimator_name} was saved by sklstm {self.made_by} and is loaded by "
            f"sklstm {__version__}. It may not work, or its predictions may differ: load it with "
            "the version that saved it, or fit it again."
        )


class VersionedEstimator(BaseEstimator):
    """Base class of all estimators.

    Their pickles carry the version of sklstm, and their HTML in a notebook links to their page of
    the documentation.
    """

    # Read by scikit-learn, which fills in the name of the class.
    _doc_link_module = "sklstm"
    _doc_link_template = (
        "https://sklstm.readthedocs.io/en/stable/generated/sklstm.{estimator_name}.html"
    )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_sklstm_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        made_by = state.pop("_sklstm_version", "of an unknown version")
        if made_by != __version__:
            warnings.warn(OtherVersionWarning(type(self).__name__, made_by), stacklevel=2)
        super().__setstate__(state)


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Return the decorator of scikit-learn, but with types, so that editors show the signature.

    Parameters
    ----------
    check : callable
        Says of an estimator whether it has the method.

    Returns
    -------
    callable
        The decorator.
    """
    return sklearn.utils.metaestimators.available_if(check)
