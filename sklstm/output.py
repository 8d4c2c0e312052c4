"""``set_output`` for transformers whose output is not always a table."""

from __future__ import annotations

from typing import Self

__all__ = ["SetOutputMixin"]


class SetOutputMixin:
    """Accept ``set_output`` always, also in a Pipeline, whatever the output."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of the output, which only has an effect where it is a table.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            As for any transformer of scikit-learn. Sequences and windows, which do not fit into a
            data frame, are returned as they are.

        Returns
        -------
        self : object
            The transformer.
        """
        # This is what scikit-learn stores. Its own method does not exist while the output has no
        # column names.
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self
