"""Tests of cluster/ray_cluster."""
