"""The one error of files that hold weights."""


class WeightsError(ValueError):
    """A weights file that cannot be read, or does not fit the network."""
