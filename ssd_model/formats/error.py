"""The error that all readers of weights raise."""


class WeightsError(ValueError):
    """A weights file cannot be read, or does not fit the network."""
