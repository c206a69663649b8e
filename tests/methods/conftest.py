"""Settings of the tests of methods."""

import pytest
import transformers


@pytest.fixture(autouse=True, scope="session")
def _quiet() -> None:
    transformers.logging.set_verbosity_error()
