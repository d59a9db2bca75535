"""Find which singular values of a language model to throw away.

    import clipsweep

    study = clipsweep.run("quickstart", cluster={"replicas": 0})
    print(study.describe())
    study.rows().pivot_table("accuracy", ["module", "layer"], "clip_rate")

Everything here is loaded when it is first used: ``import clipsweep`` itself loads neither torch nor Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsweep.analysis.frames.matrices import margins, outcomes
    from clipsweep.analysis.published.read import load_published
    from clipsweep.analysis.theory.theory import Theory
    from clipsweep.analysis.winners.turned import Flips
    from clipsweep.orchestrator.api import StudyHandle, evaluate, load_studies, load_study, open_study, plan, run
    from clipsweep.orchestrator.comparison.compare import Comparison, compare
    from clipsweep.orchestrator.evaluation.evaluation import Evaluation
    from clipsweep.orchestrator.figures import figure
    from clipsweep.orchestrator.frames import load, points
    from clipsweep.orchestrator.study.schema import Study
    from clipsweep.trials.base.errors import ClipsweepError
    from clipsweep.trials.base.versions import __version__
    from clipsweep.trials.export.factored import load_factored
    from clipsweep.trials.spec.clip import Clip
    from clipsweep.trials.spec.trial import TrialSpec

__all__ = [
    "Clip",
    "ClipsweepError",
    "Comparison",
    "Evaluation",
    "Flips",
    "Study",
    "StudyHandle",
    "Theory",
    "TrialSpec",
    "__version__",
    "compare",
    "evaluate",
    "figure",
    "load",
    "load_factored",
    "load_published",
    "load_studies",
    "load_study",
    "margins",
    "open_study",
    "outcomes",
    "plan",
    "points",
    "run",
]

_HOMES = {
    "Clip": "clipsweep.trials.spec.clip",
    "ClipsweepError": "clipsweep.trials.base.errors",
    "Comparison": "clipsweep.orchestrator.comparison.compare",
    "Evaluation": "clipsweep.orchestrator.evaluation.evaluation",
    "Flips": "clipsweep.analysis.winners.turned",
    "Study": "clipsweep.orchestrator.study.schema",
    "StudyHandle": "clipsweep.orchestrator.api",
    "Theory": "clipsweep.analysis.theory.theory",
    "TrialSpec": "clipsweep.trials.spec.trial",
    "__version__": "clipsweep.trials.base.versions",
    "compare": "clipsweep.orchestrator.comparison.compare",
    "evaluate": "clipsweep.orchestrator.api",
    "figure": "clipsweep.orchestrator.figures",
    "load": "clipsweep.orchestrator.frames",
    "load_factored": "clipsweep.trials.export.factored",
    "load_published": "clipsweep.analysis.published.read",
    "load_studies": "clipsweep.orchestrator.api",
    "load_study": "clipsweep.orchestrator.api",
    "margins": "clipsweep.analysis.frames.matrices",
    "open_study": "clipsweep.orchestrator.api",
    "outcomes": "clipsweep.analysis.frames.matrices",
    "plan": "clipsweep.orchestrator.api",
    "points": "clipsweep.orchestrator.frames",
    "run": "clipsweep.orchestrator.api",
}


def __getattr__(name: str) -> Any:
    """Load a public name the first time that it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'clipsweep' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
