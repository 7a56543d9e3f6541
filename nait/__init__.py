"""The reference harness for instruction-tuning data selection."""

from importlib.metadata import version

__version__ = version("nait")
