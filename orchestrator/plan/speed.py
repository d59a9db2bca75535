"""How fast a replica is expected to be: as stored trials were, else by its GPU's data sheet, else by a measurement."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass

from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.study.schema import ClusterSection
from clipsweep.trials.base.errors import counted

ENGINE_SHARE = 0.4  # of the fastest matrix products, where the engine itself has not been timed
MEASURED_SECONDS = 0.5
MEASURED_TOKENS = 256
ROWS_TO_TRUST = 8
# Dense rates in TFLOP/s for half precision and float32 (without TF32), from NVIDIA's data sheets; the first name that a
# card's name contains counts.
GPU_TERAFLOPS = {
    "B200": (2250, 80),
    "GH200": (989, 67),
    "H200": (989, 67),
    "H100": (989, 67),
    "L40S": (362, 91.6),
    "A100": (312, 19.5),
    "4090": (165, 82.6),
    "A10": (125, 31.2),
    "V100": (125, 15.7),
    "L4": (121, 30.3),
    "3090": (71, 35.6),
    "T4": (65, 8.1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a replica is expected to be.

    Attributes:
        operations_per_second: Floating-point operations, as the cost model counts them.
        source: Where the figure comes from.
        replicas: How many replicas are expected.
    """

    operations_per_second: float
    source: str
    replicas: int


def expect_speed(opened: OpenStudy, ledger: Ledger) -> Speed:
    """How fast each replica is expected to be, and how many there will be."""
    cluster = opened.study.cluster
    gpus = [] if cluster.address else _gpu_names()  # the GPUs of another cluster cannot be asked from here
    rate, source = (
        _rate_of_stored_trials(ledger)
        or _rate_of_data_sheet(gpus, opened.study.model.dtype)
        or _rate_of_this_machine(opened)
    )
    return Speed(operations_per_second=rate, source=source, replicas=_expected_replicas(cluster, len(gpus)))


def _expected_replicas(cluster: ClusterSection, n_gpus: int) -> int:
    """How many replicas the study asks for, or this machine has GPUs or cores for."""
    if cluster.replicas != "auto":
        return max(1, cluster.replicas)
    if n_gpus:
        return max(1, int(n_gpus / cluster.gpus_per_replica))
    return max(1, int((os.cpu_count() or 1) / cluster.cpus_per_replica))


def _rate_of_stored_trials(ledger: Ledger) -> tuple[float, str] | None:
    """Operations per second of this study's trials; None of fewer than ``ROWS_TO_TRUST``.

    Light trials are left out: most of their time goes to the SVD, and to what all trials share.
    """
    rows = [row for row in ledger.rows.values() if row.operations and row.seconds]
    heaviest = max((row.operations for row in rows), default=0)
    rates = [row.operations / row.seconds for row in rows if 2 * row.operations >= heaviest]
    if len(rates) < ROWS_TO_TRUST:
        return None
    return statistics.median(rates), f"{len(rates)} stored trials"


def _rate_of_data_sheet(gpus: list[str], dtype: str) -> tuple[float, str] | None:
    """Operations per second by the data sheet of the first GPU; None where there is none, or none that is known."""
    if not gpus:
        return None
    sheet = next((rates for name, rates in GPU_TERAFLOPS.items() if name in gpus[0]), None)
    if sheet is None:
        return None
    half, single = sheet
    teraflops = single if dtype == "float32" else half
    return ENGINE_SHARE * teraflops * 1e12, f"{100 * ENGINE_SHARE:.0f} % of the data sheet of {gpus[0]}"


def _rate_of_this_machine(opened: OpenStudy) -> tuple[float, str]:
    """Operations per second by matrix products on the cores that a replica is given."""
    cores = opened.study.cluster.cpus_per_replica
    source = f"{100 * ENGINE_SHARE:.0f} % of this machine's matrix products on {counted(cores, 'core')}"
    return ENGINE_SHARE * _time_matrix_products(opened, cores), source


def _gpu_names() -> list[str]:
    """Names of this machine's GPUs, asked without touching one."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # no driver, no GPU
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _time_matrix_products(opened: OpenStudy, cores: int) -> float:
    """Operations per second of this machine's cores at the model's largest matrix."""
    import torch

    card = opened.subject.card
    shapes = [shape for held in card.shapes.values() for shape in held]
    rows, cols, _ = max(shapes, key=lambda shape: shape.rows * shape.cols)
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        weight = torch.zeros(rows, cols, dtype=getattr(torch, card.dtype))
        tokens = torch.zeros(MEASURED_TOKENS, cols, dtype=weight.dtype)
        torch.nn.functional.linear(tokens, weight)  # the first product starts the threads
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < MEASURED_SECONDS:
            torch.nn.functional.linear(tokens, weight)
            count += 1
        return 2 * MEASURED_TOKENS * rows * cols * count / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
