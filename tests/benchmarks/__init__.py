"""Measurements. Each module prints one JSON document; ``python -m tests.benchmarks`` runs them all."""
