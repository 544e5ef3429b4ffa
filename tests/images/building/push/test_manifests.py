"""Config and manifest: the base's, with ours on top."""

from __future__ import annotations

import json
from pathlib import Path

from images.building.layers.tar import Layer
from images.building.push import manifests
from images.building.user import USER
from images.registry.distribution.descriptors import DOCKER_LAYER_GZIP, OCI_LAYER_GZIP, digest_of
from images.run_time.settings import RunTime

BASE = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Env": ["PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8"], "Cmd": ["python3"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:base"]},
    "history": [{"created_by": "debootstrap"}],
}
OURS = Layer("sha256:packed", "sha256:plain", 10, Path("x"), OCI_LAYER_GZIP)


def test_our_environment_comes_first_and_the_rest_of_the_base_stays() -> None:
    config = json.loads(manifests.image_config(BASE, [(OURS, "numpy 2.4.6")], labels={"a": "b"}))
    assert config["config"]["Env"] == [
        "PATH=/opt/managed/bin:/usr/local/bin:/usr/bin",
        "LANG=C.UTF-8",
        "VIRTUAL_ENV=/opt/managed",
    ]
    assert config["config"]["Cmd"] == ["python3"]
    assert config["config"]["Labels"] == {"a": "b"}
    assert config["rootfs"]["diff_ids"] == ["sha256:base", "sha256:plain"]
    assert [step["created_by"] for step in config["history"]] == [
        "debootstrap",
        "ri-platform: numpy 2.4.6",
    ]


def test_the_base_is_not_changed_and_the_same_input_gives_the_same_bytes() -> None:
    before = json.dumps(BASE)
    first = manifests.image_config(BASE, [(OURS, "numpy")], labels={"z": "1", "a": "2"})
    second = manifests.image_config(BASE, [(OURS, "numpy")], labels={"a": "2", "z": "1"})
    assert first == second
    assert json.dumps(BASE) == before


def test_the_image_runs_as_the_user_in_its_home() -> None:
    base = {**BASE, "config": {"Env": ["HOME=/root"], "WorkingDir": ""}}
    config = json.loads(manifests.image_config(base, [], labels={}, user=USER))["config"]
    assert (config["User"], config["WorkingDir"]) == ("10001:10001", "/home/app")
    assert {"HOME=/home/app", "USER=app"} <= set(config["Env"])
    assert "HOME=/root" not in config["Env"]
    elsewhere = {**BASE, "config": {"WorkingDir": "/srv"}}
    config = json.loads(manifests.image_config(elsewhere, [], labels={}, user=USER))["config"]
    assert config["WorkingDir"] == "/srv"


def test_a_base_without_a_path_gets_the_usual_one() -> None:
    config = json.loads(manifests.image_config({"os": "linux"}, [], labels={}))
    assert config["config"]["Env"][0].startswith("PATH=/opt/managed/bin:/usr/local/sbin:")


def test_the_manifest_is_oci_even_if_the_bases_was_dockers() -> None:
    base_layer = {"mediaType": DOCKER_LAYER_GZIP, "digest": "sha256:base", "size": 5}
    manifest = json.loads(manifests.image_manifest(b"{}", [base_layer], [OURS]))
    assert [layer["mediaType"] for layer in manifest["layers"]] == [OCI_LAYER_GZIP] * 2
    assert [layer["digest"] for layer in manifest["layers"]] == ["sha256:base", "sha256:packed"]
    assert manifest["config"]["digest"] == digest_of(b"{}")


def test_the_images_own_settings_win_over_the_bases() -> None:
    run: dict[str, object] = {
        "User": "1",
        "Entrypoint": ["/tini"],
        "Cmd": ["sh"],
        "Labels": {"a": "1"},
    }
    run["Env"] = ["PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8"]
    base = {**BASE, "config": run}
    own = RunTime(
        env=(("LANG", "de_DE.UTF-8"), ("OMP_NUM_THREADS", "4")),
        working_dir="/app",
        user="1000:1000",
        entrypoint=("python", "-m", "serve"),
        labels=(("com.example.team", "pricing"),),
    )
    config = json.loads(manifests.image_config(base, [], labels={"b": "2"}, run_time=own))["config"]
    assert config["Env"] == [
        "PATH=/opt/managed/bin:/usr/local/bin:/usr/bin",
        "LANG=de_DE.UTF-8",
        "VIRTUAL_ENV=/opt/managed",
        "OMP_NUM_THREADS=4",
    ]
    assert (config["WorkingDir"], config["User"]) == ("/app", "1000:1000")
    assert (config["Entrypoint"], config.get("Cmd")) == (["python", "-m", "serve"], None)
    assert config["Labels"] == {"a": "1", "b": "2", "com.example.team": "pricing"}


def test_without_settings_the_bases_stay() -> None:
    base = {
        **BASE,
        "config": {"User": "1", "WorkingDir": "/w", "Entrypoint": ["/tini"], "Cmd": ["sh"]},
    }
    config = json.loads(manifests.image_config(base, [], labels={}))["config"]
    assert config["User"] == "1"
    assert (config["WorkingDir"], config["Entrypoint"], config["Cmd"]) == ("/w", ["/tini"], ["sh"])
