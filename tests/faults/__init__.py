"""The kill suite: `make faults`."""

import pytest

pytest.register_assert_rewrite("tests.faults.world", "tests.faults.compare", "tests.faults.killing")
