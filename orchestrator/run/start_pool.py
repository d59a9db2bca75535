"""Start the replicas of a study, with settings that hold on any node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.work import ReplicaSettings
from clipsweep.orchestrator.plan.prepare import Prepared
from clipsweep.orchestrator.study.schema import Study, settings_of
from clipsweep.orchestrator.words import Say, say_nothing
from clipsweep.trials.base.errors import PoolError, first_line
from clipsweep.trials.base.loading import nothing_collected
from clipsweep.trials.clips.resolve import starts_of
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.start import Start
from clipsweep.trials.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from clipsweep.cluster.on_ray.ray_pool import RayPool

MEMORY_PER_WEIGHT_BYTE = 3


def start_pool(prepared: Prepared, say: Say = say_nothing, deaths: Mapping[str, int] | None = None) -> Pool:
    """Start the replicas that the study asks for.

    Args:
        prepared: The study.
        say: Shows the user what is waited for.
        deaths: Of replicas in earlier runs, by the trial that they were running.

    Raises:
        PoolError: Ray cannot be imported, joined or started, or has no room.
    """
    study, subject, space = prepared.opened.study, prepared.opened.subject, prepared.opened.space
    cluster = study.cluster
    starts = starts_of(space.starts(), subject.card) if prepared.opened.pending is None else ()
    fingerprints = {name: subject.of(name).task_fingerprint for name in prepared.tasks}
    settings = replica_settings(study, subject.card, fingerprints, prepared.cache, starts)
    settings = replace(settings, verify_hashes=prepared.verify_hashes)
    if cluster.replicas == 0:
        say("loading the model …")
        with nothing_collected():
            from clipsweep.cluster.local_pool import LocalPool  # here, as it loads torch and transformers

        return LocalPool(settings)
    say(f"joining Ray at {cluster.address} …" if cluster.address else "starting Ray …")
    return _ray_pool()(
        settings,
        ClusterSettings(
            replicas=None if cluster.replicas == "auto" else cluster.replicas,
            gpus_per_replica=cluster.gpus_per_replica,
            cpus_per_replica=cluster.cpus_per_replica,
            address=cluster.address,
            bytes_per_replica=MEMORY_PER_WEIGHT_BYTE * subject.card.weight_bytes,
            hang_after_s=cluster.hang_after_s,
        ),
        deaths,
    )


def _ray_pool() -> type[RayPool]:
    """The pool on Ray, which only a study with replicas of their own needs."""
    try:
        from clipsweep.cluster.on_ray.ray_pool import RayPool
    except ImportError as error:
        raise PoolError(
            f"Ray cannot be imported ({first_line(error)}); expected a Ray that replicas run on. Install it again, or "
            f"use --replicas 0, which runs in this process, without Ray."
        ) from error
    return RayPool


def replica_settings(
    study: Study, card: ModelCard, fingerprints: Mapping[str, str], cache: Path, starts: tuple[Start, ...]
) -> ReplicaSettings:
    """What a replica of a study needs, with every path as it is found from another working directory.

    Args:
        study: Names model and task, and what a replica may take.
        card: Of the model.
        fingerprints: Of its tasks, by name.
        cache: For factors, conversions and rows.
        starts: Where the trials start.
    """
    first, *others = ((_absolute_task(settings_of(member)), fingerprints[member.name]) for member in study.task.members)
    return ReplicaSettings(
        model=replace(study.model_settings(), path=_absolute(study.model.path)),
        task=first[0],
        model_fingerprint=card.fingerprint,
        task_fingerprint=first[1],
        others=tuple(others),
        cache=cache.absolute(),
        threads=study.cluster.cpus_per_replica,
        activation_bytes=study.cluster.activation_bytes,
        gpus=study.cluster.gpus_per_replica,
        starts=starts,
        theory=study.theory,
    )


def _absolute(path: str) -> str:
    """A local file or folder as replicas find it from another working directory; hub names and ``embedded`` stay."""
    place = Path(path).expanduser()
    return str(place.resolve()) if place.exists() else path


def _absolute_task(task: TaskSettings) -> TaskSettings:
    """The task with every local path as replicas find it."""
    definition = task.definition
    if definition is not None:
        place, colon, attribute = (definition.function or "").rpartition(":")
        function = f"{Path(place).expanduser().resolve()}{colon}{attribute}" if place.endswith(".py") else None
        source = replace(definition.source, path=_absolute(definition.source.path))
        definition = replace(definition, source=source, function=function or definition.function)
    harness = task.lm_eval
    if harness is not None:
        included = harness.include_path and _absolute(harness.include_path)
        harness = replace(harness, include_path=included, folder=harness.folder or str(Path.cwd()))
    text = None if task.text is None else replace(task.text, path=_absolute(task.text.path))
    path = task.path and _absolute(task.path)
    return replace(task, path=path, definition=definition, lm_eval=harness, text=text)
