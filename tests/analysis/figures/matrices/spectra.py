"""Spectra frames of models that are made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.analysis.frames.spectra_frame import read_spectra_frame
from clipsweep.analysis.spectra.spectrum_file import SpectrumFile
from clipsweep.trials.clips.spectrum import MatrixSpectrum
from tests.trials.clips.test_spectrum import make_spectrum

if TYPE_CHECKING:
    from pathlib import Path

    import pandas

Q = [make_spectrum(8.0, 4.0, 2.0, layer=layer, entry_std=0.5) for layer in range(3)]
UP = [make_spectrum(9.0, 3.0, 3.0 / (layer + 1), layer=layer, role="up", entry_std=0.5) for layer in range(3)]


def frame_of(folder: Path, *spectra: MatrixSpectrum) -> pandas.DataFrame:
    """The frame of a file that holds these."""
    path = folder / "spectrum.parquet"
    SpectrumFile(path, "f", "float32").replace(spectra)
    return read_spectra_frame(path)
