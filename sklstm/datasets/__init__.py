"""Two short time series for examples and tests, in the format of scikit-learn's data sets."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils import Bunch
from sklearn.utils._optional_dependencies import check_pandas_support

__all__ = ["load_airline", "load_sunspots"]

_DATA_MODULE = "sklstm.datasets.data"


@overload
def load_airline(*, return_X_y: Literal[False] = False, as_frame: bool = False) -> Bunch: ...
@overload
def load_airline(*, return_X_y: Literal[True], as_frame: bool = False) -> tuple[Any, Any]: ...
def load_airline(*, return_X_y: bool = False, as_frame: bool = False) -> Bunch | tuple[Any, Any]:
    """Load the monthly totals of international airline passengers, 1949 to 1960.

    ==============   ========================
    Samples total    144, one per month
    Dimensionality   1
    Features         real, 104 to 622
    Targets          as features, 104 to 622
    ==============   ========================

    The series has a trend and a yearly seasonality whose amplitude grows with the trend.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return pandas objects, indexed by month.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : {ndarray, DataFrame} of shape (144, 1)
            Passengers of each month, in thousands, oldest first.
        target : {ndarray, Series} of shape (144,)
            The same series, to be predicted from the previous rows.
        months : ndarray of shape (144,)
            The month of each row, as datetime64[M].
        feature_names : list of str
            Name of the column.
        target_names : list of str
            Name of the target.
        frame : DataFrame of shape (144, 1) or None
            The series if ``as_frame=True``, else None.
        DESCR : str
            Description of the data set.
        filename : str
            Name of the data file.
        data_module : str
            Package that contains the file.

    (data, target) : tuple if ``return_X_y`` is True
        The data and the target.

    See Also
    --------
    load_sunspots : A longer series with an irregular cycle.
    sklstm.SlidingWindow : With ``lag=1``, the window of a month holds the previous months.

    Notes
    -----
    Source: Series G in [1]_. Licence: published figures on which no copyright is claimed.
    Statistical software has distributed them freely for decades, for example R as
    ``AirPassengers``.

    References
    ----------
    .. [1] G. E. P. Box, G. M. Jenkins and G. C. Reinsel, "Time Series Analysis: Forecasting and
       Control", third edition, Prentice Hall, 1994.

    Examples
    --------
    >>> from sklstm import SlidingWindow
    >>> from sklstm.datasets import load_airline
    >>> airline = load_airline()
    >>> airline.months[:3]
    array(['1949-01', '1949-02', '1949-03'], dtype='datetime64[M]')
    >>> airline.target[12:15]
    array([115., 126., 141.])

    The twelve months before January 1950:

    >>> windows = SlidingWindow(window_size=12, lag=1).fit_transform(airline.data)
    >>> windows[12, :, 0]
    array([112., 118., 132., 129., 121., 135., 148., 148., 136., 119., 104.,
           118.])
    """
    return _load(
        "airline",
        column="passengers",
        index="month",
        index_dtype="datetime64[M]",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


@overload
def load_sunspots(*, return_X_y: Literal[False] = False, as_frame: bool = False) -> Bunch: ...
@overload
def load_sunspots(*, return_X_y: Literal[True], as_frame: bool = False) -> tuple[Any, Any]: ...
def load_sunspots(*, return_X_y: bool = False, as_frame: bool = False) -> Bunch | tuple[Any, Any]:
    """Load the yearly mean sunspot numbers, 1700 to 2008.

    ==============   ========================
    Samples total    309, one per year
    Dimensionality   1
    Features         real, 0 to 190.2
    Targets          as features, 0 to 190.2
    ==============   ========================

    A cycle takes about eleven years. Its length and its amplitude vary, and the rise is steeper
    than the fall.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return pandas objects, indexed by year.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : {ndarray, DataFrame} of shape (309, 1)
            Mean sunspot number of each year, oldest first.
        target : {ndarray, Series} of shape (309,)
            The same series, to be predicted from the previous rows.
        years : ndarray of shape (309,)
            The year of each row.
        feature_names : list of str
            Name of the column.
        target_names : list of str
            Name of the target.
        frame : DataFrame of shape (309, 1) or None
            The series if ``as_frame=True``, else None.
        DESCR : str
            Description of the data set.
        filename : str
            Name of the data file.
        data_module : str
            Package that contains the file.

    (data, target) : tuple if ``return_X_y`` is True
        The data and the target.

    See Also
    --------
    load_airline : A shorter series with a trend and a regular season.
    sklstm.SlidingWindow : With ``lag=1``, the window of a year holds the previous years.

    Notes
    -----
    Source: National Geophysical Data Center (NGDC); counted by the Royal Observatory of Belgium
    (SILSO) and, before 1981, in Zurich. These are the original numbers, not the revised version
    2.0 of 2015 [1]_. Licence: public domain.

    References
    ----------
    .. [1] F. Clette, L. Svalgaard, J. M. Vaquero and E. W. Cliver, "Revisiting the Sunspot
       Number", Space Science Reviews 186, 2014.

    Examples
    --------
    >>> from sklstm.datasets import load_sunspots
    >>> sunspots = load_sunspots()
    >>> sunspots.years[:3], sunspots.target[:3]
    (array([1700, 1701, 1702]), array([ 5., 11., 16.]))
    >>> sunspots.data.shape
    (309, 1)
    """
    return _load(
        "sunspots",
        column="sunspots",
        index="year",
        index_dtype=np.int64,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _load(
    name: str,
    *,
    column: str,
    index: str,
    index_dtype: DTypeLike,
    return_X_y: bool,
    as_frame: bool,
) -> Bunch | tuple[Any, Any]:
    """Read a file of an index and one column, and return it in the format of scikit-learn."""
    folder = files(_DATA_MODULE)
    with (folder / f"{name}.csv").open(encoding="utf-8") as lines:
        table = np.loadtxt(
            lines, dtype=[(index, index_dtype), (column, np.float64)], delimiter=",", skiprows=1
        )
    # Separate copies, so that scaling the data in place does not change the target.
    data, target = table[column].copy().reshape(-1, 1), table[column].copy()
    frame = None
    if as_frame:
        pd = check_pandas_support(f"load_{name} with as_frame=True")
        frame = pd.DataFrame(data, index=pd.Index(table[index], name=index), columns=[column])
        data, target = frame.copy(), frame[column].copy()
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        **{f"{index}s": table[index].copy()},
        feature_names=[column],
        target_names=[column],
        frame=frame,
        DESCR=(folder / f"{name}.rst").read_text(encoding="utf-8"),
        filename=f"{name}.csv",
        data_module=_DATA_MODULE,
    )
