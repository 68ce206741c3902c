"""Limits that only a hang reaches. Pure.

Nothing in the tests asserts how fast something is: a machine may be as busy as it likes. benchmarks/ measures.
"""

from __future__ import annotations

HANG_S = 240.0  # what is waited for comes long before, or never
SOON_S = 30.0  # beats what would have ended by itself after a minute or more
AGES_S = 1200.0  # what must not be waited for: far beyond the guard
