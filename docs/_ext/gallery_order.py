"""The order of the examples: first what most people come for."""

EXAMPLES = [
    "plot_airline",
    "plot_intervals",
    "plot_known_ahead",
    "plot_frame_with_dates",
    "plot_backtest",
    "plot_load_two_seasons",
    "plot_train_on_series",
    "plot_panel",
    "plot_unequal_lengths",
    "plot_every_step",
    "plot_transform_steps",
    "plot_live_stream",
    "plot_adding_problem",
    "distributed_dask",
]


class ByInterest:
    """Sorting key of sphinx-gallery. A new example is an error until it has a place above."""

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, name: str) -> int:
        return EXAMPLES.index(name.removesuffix(".py"))
