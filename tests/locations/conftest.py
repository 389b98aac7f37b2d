"""The same platform as the commands' tests have: jobs of the operations location work on it as a whole."""

from tests.cli.conftest import home, platform, shared_platform

__all__ = ["home", "platform", "shared_platform"]
