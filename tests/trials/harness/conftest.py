"""The fixture of all tests here."""

from tests.trials.harness.helpers import documents_kept_apart

__all__ = ["documents_kept_apart"]
