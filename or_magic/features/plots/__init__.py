"""The ledger's frame as pictures: money over time, by day and by group, and how seconds and speeds are spread."""

from .bars import plot_by
from .days import plot_days
from .over_time import plot_over_time
from .spread import SPREADS, plot_spread

__all__ = ["SPREADS", "plot_by", "plot_days", "plot_over_time", "plot_spread"]
