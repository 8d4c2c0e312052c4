"""The files of the data sets."""
