"""What ``clipsweep spectrum`` answers: singular values and condition numbers of a checkpoint, computed in-process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.analysis.figures.words import model_name
from clipsweep.analysis.row.row import Record
from clipsweep.analysis.spectra.columns import spectrum_record
from clipsweep.analysis.spectra.spectrum_file import SpectrumFile
from clipsweep.orchestrator.space.layer_rule import measured_values, module_places
from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place, conditions_of
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.spec.modules import MODULES

LINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSpectrum:
    """A checkpoint's singular values.

    Attributes:
        model: As the user named it.
        card: Of the checkpoint.
        modules: In the order asked for.
        spectra: Of all their matrices in the layers asked for, each once.
    """

    model: str
    card: ModelCard
    modules: tuple[str, ...]
    spectra: tuple[MatrixSpectrum, ...]

    def condition_numbers(self) -> dict[str, dict[int, float]]:
        """By module and layer: the largest among the module's matrices there."""
        conditions = conditions_of(self.spectra)
        return {module: measured_values(module_places(self.card, module), conditions) for module in self.modules}

    def document(self) -> dict[str, Any]:
        """All of it as JSON holds it; what is infinite is null."""
        return {
            "model": self.model,
            "model_fingerprint": self.card.fingerprint,
            "dtype": self.card.dtype,
            "modules": {module: _by_layer(values) for module, values in self.condition_numbers().items()},
            "matrices": [_jsonable(spectrum_record(spectrum)) for spectrum in self.spectra],
        }

    def write(self, path: Path) -> None:
        """Write a Parquet file laid out as a study's ``spectrum.parquet``."""
        SpectrumFile(path, self.card.fingerprint, self.card.dtype).replace(self.spectra)

    def write_report(self, path: Path) -> None:
        """Write a page about them: one HTML file that opens offline."""
        from clipsweep.analysis.frames.spectra_frame import spectra_frame
        from clipsweep.analysis.report.spectrum_page import write_spectrum_report

        card = self.card
        facts = {
            "model": f"{self.model} ({card.model_type}, {card.n_layers} layers, "
            f"{card.parameters_total / 1e6:,.1f} M parameters, fingerprint {card.fingerprint[:12]})",
            "weights": f"as {card.dtype}",
            "modules": ", ".join(self.modules),
        }
        table = SpectrumFile(path, card.fingerprint, card.dtype).table_of(self.spectra)
        write_spectrum_report(path, model_name(self.model), facts, spectra_frame(table))


def report_name(model: str) -> str:
    """The file that ``--report`` writes: ``gpt-j-6b-spectrum.html``."""
    return f"{model_name(model)}-spectrum.html"


def parse_modules(text: str) -> tuple[str, ...]:
    """Names of modules out of a comma-separated list; each once.

    Raises:
        SpecError: One is no module.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in MODULES:
            raise SpecError(unknown_name("module", name, MODULES))
    return names


def parse_layers(text: str) -> list[int] | None:
    """Layers out of a comma-separated list; None for ``all``.

    Raises:
        SpecError: It is something else.
    """
    if text == "all":
        return None
    try:
        return [int(layer) for layer in text.split(",")]
    except ValueError as error:
        raise SpecError(f"--layers is {text!r}; expected 'all' or whole numbers with commas, as in 0,1,-1.") from error


def measure_checkpoint(
    settings: ModelSettings,
    modules: Sequence[str],
    layers: Sequence[int] | None,
    cache: Path,
    say: Callable[[str], None],
    *,
    exact: bool = False,
) -> CheckpointSpectrum:
    """Load a checkpoint in this process, on its GPU if it has one, and compute the singular values asked for.

    Args:
        settings: The checkpoint.
        modules: Keys of ``MODULES``.
        layers: Negative ones count from the end; None for all.
        cache: Folder of the SVD factors, which are used where they are there.
        say: Shows the user how far it is, every few seconds.
        exact: Whether to measure also what takes float64, as ``measure_spectrum`` says.

    Raises:
        ClipsweepError: No such checkpoint, module or layer, or weights that are not finite.
    """
    folder = find_checkpoint(settings, cache)
    card = describe_checkpoint(folder, settings.dtype, cache)
    wanted = range(card.n_layers) if layers is None else {card.layer_index(layer) for layer in layers}
    by_module = [module_places(card, module) for module in modules]
    places = sorted({place for held in by_module for layer in wanted for place in held.get(layer, ())})
    total = sum(shape.count for place in places for shape in card.shapes[place])
    spectra: list[MatrixSpectrum] = []
    said_at = time.monotonic()
    for spectrum in _measured(folder, settings.dtype, places, cache, exact):
        spectra.append(spectrum)
        if time.monotonic() - said_at >= LINE_SECONDS:
            said_at = time.monotonic()
            say(f"{len(spectra)}/{total} matrices measured")
    return CheckpointSpectrum(model=settings.path, card=card, modules=tuple(modules), spectra=tuple(spectra))


def _measured(folder: Path, dtype: str, places: Sequence[Place], cache: Path, exact: bool) -> Iterator[MatrixSpectrum]:
    import torch

    from clipsweep.trials.clips.factor_cache import FactorCache
    from clipsweep.trials.clips.measure_spectrum import measure_spectrum
    from clipsweep.trials.models.find_layout import find_layout
    from clipsweep.trials.models.load import load_model

    model = load_model(folder, dtype, "cuda" if torch.cuda.is_available() else "cpu")
    return measure_spectrum(model, find_layout(model), places, FactorCache(cache), exact=exact)


def _by_layer(values: Mapping[int, float]) -> dict[str, float | None]:
    """Condition numbers as JSON holds them, whose keys are text."""
    return {str(layer): _finite(value) for layer, value in values.items()}


def _jsonable(record: Record) -> Record:
    """Values of one matrix as JSON holds them."""
    return {name: _finite(value) if isinstance(value, float) else value for name, value in record.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
