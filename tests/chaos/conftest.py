"""What takes longer than `make test` may: `make test-chaos`."""

from tests.service.conftest import make_service, pytest_runtest_makereport

__all__ = ["make_service", "pytest_runtest_makereport"]
