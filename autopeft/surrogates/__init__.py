"""Models of what is measured, what they say about where to look next, and the search for that place."""

import warnings

with warnings.catch_warnings():
    # On import, a library below BoTorch calls what torch has deprecated: nothing that anyone who imports us could mend.
    warnings.simplefilter("ignore", DeprecationWarning)
    import botorch  # noqa: F401
