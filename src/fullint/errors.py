"""The one exception of the package that is meant for users."""

from __future__ import annotations


class FullintError(Exception):
    """Something the user can act on, in one sentence: what is wrong, where, and what to do."""
