"""Tests of cluster/on_ray."""
