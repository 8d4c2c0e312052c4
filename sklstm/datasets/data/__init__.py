"""Data files of the data sets."""
