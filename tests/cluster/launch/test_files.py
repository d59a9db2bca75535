"""The files of cluster/launch, as far as one can look at them without a cluster."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml

from tests.cluster.launch.trial import LAUNCH

FOLDERS = ("cloud", "kubernetes", "skypilot", "slurm", "ssh")
SCRIPTS = (LAUNCH / "slurm" / "clipsweep.sbatch", LAUNCH / "ssh" / "clipsweep-ssh")
ONE_SCREEN = 40
SECRET = re.compile(r"\b[0-9a-f]{32,}\b|AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY")


def words(text: str) -> set[str]:
    return set(text.split())


# The keys of KubeRay 1.5's types, from its apis/ray/v1/*_types.go; what Kubernetes itself defines is not looked into.
JOB_KEYS = words(
    "entrypoint runtimeEnvYAML jobId submissionMode backoffLimit submitterConfig submitterPodTemplate metadata "
    "activeDeadlineSeconds preRunningDeadlineSeconds shutdownAfterJobFinishes ttlSecondsAfterFinished deletionStrategy "
    "suspend managedBy entrypointNumCpus entrypointNumGpus entrypointResources rayClusterSpec clusterSelector"
)
CLUSTER_KEYS = words(
    "rayVersion headGroupSpec workerGroupSpecs enableInTreeAutoscaling autoscalerOptions gcsFaultToleranceOptions "
    "authOptions tlsOptions networkPolicy headServiceAnnotations suspend managedBy"
)
HEAD_KEYS = words("serviceType headService enableIngress resources labels rayStartParams template")
GROUP_KEYS = words(
    "groupName replicas minReplicas maxReplicas numOfHosts idleTimeoutSeconds suspend resources labels rayStartParams "
    "template scaleStrategy"
)
# The keys of a task of SkyPilot 0.14.1, from its own schema.
TASK_KEYS = words("name workdir num_nodes resources file_mounts setup run envs secrets volumes config")


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((LAUNCH / name).read_text(encoding="utf-8"))
    return content


def shell_of(name: str, *keys: str) -> Iterator[str]:
    """What a YAML file has a shell run."""
    for key in keys:
        value = read(name)[key]
        yield from [value] if isinstance(value, str) else value


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_bash(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_what_shellcheck_advises(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_explains_itself_on_one_screen(folder: str) -> None:
    lines = (LAUNCH / folder / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= ONE_SCREEN
    assert re.match("Tried|Checked", next(line for line in reversed(lines) if re.match("Tried|Checked", line)))


def test_there_is_a_folder_for_each_kind_of_cluster_and_the_docs_name_it() -> None:
    assert sorted(path.name for path in LAUNCH.iterdir() if path.is_dir()) == sorted(FOLDERS)
    docs = (LAUNCH.parents[1] / "docs" / "clusters.md").read_text(encoding="utf-8")
    assert [folder for folder in FOLDERS if f"| `{folder}` |" not in docs] == []


@pytest.mark.parametrize(
    "file", sorted(path for path in LAUNCH.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_a_file_holds_no_secret_and_asks_for_a_token(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert SECRET.search(text) is None
    if "ray start --" in text and file.suffix != ".md":
        assert re.search(r"RAY_AUTH_MODE[=:] ?token", text)


def test_the_file_of_ray_up_is_what_rays_schema_wants() -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(read("cloud/ray-up.yaml"), schema)


def test_the_workers_of_ray_up_are_spot_machines() -> None:
    node = read("cloud/ray-up.yaml")["available_node_types"]["replica"]["node_config"]
    assert node["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_the_job_of_kuberay_has_known_keys_alone() -> None:
    job = read("kubernetes/rayjob.yaml")
    cluster = job["spec"]["rayClusterSpec"]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"].keys() <= JOB_KEYS
    assert cluster.keys() <= CLUSTER_KEYS
    assert cluster["headGroupSpec"].keys() <= HEAD_KEYS
    assert all(group.keys() <= GROUP_KEYS for group in cluster["workerGroupSpecs"])


def test_the_job_of_kuberay_is_tried_again_and_asks_for_a_token() -> None:
    spec = read("kubernetes/rayjob.yaml")["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert "--dir /shared/" in spec["entrypoint"]


def test_the_task_of_skypilot_has_known_keys_alone_and_uses_spot_machines() -> None:
    task = read("skypilot/clipsweep.yaml")
    assert task.keys() <= TASK_KEYS
    assert task["resources"]["use_spot"] is True
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("skypilot/clipsweep.yaml", ("setup", "run")),
        ("cloud/ray-up.yaml", ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands")),
    ],
)
def test_the_shell_in_a_yaml_file_is_bash(name: str, keys: tuple[str, ...]) -> None:
    for text in shell_of(name, *keys):
        subprocess.run(["bash", "-n", "-c", text], check=True)
