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
]


class ByInterest:
    """Sorting key of sphinx-gallery. Examples without a place above come last."""

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, name: str) -> int:
        name = name.removesuffix(".py")
        return EXAMPLES.index(name) if name in EXAMPLES else len(EXAMPLES)
