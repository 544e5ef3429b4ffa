"""The ways to pull an image: commands and files to copy, with its own reference.

Sources: Amazon ECR user guide, "Registry authentication"; Kubernetes documentation, "Pull an Image from a
Private Registry".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import yaml
from django.conf import settings

from images.models import Build, ManagedImage
from images.references import pull_reference

# The registry's host in commands of an instance that does not say it.
UNKNOWN_HOST = "$REGISTRY"
PULL_SECRET = "rime-images"  # noqa: S105 - the name of a Kubernetes object
LAPSES = "It is good for 12 hours, so whatever renews it has to run more often."


@dataclass(frozen=True)
class Step:
    """What to do, and the text to copy for it."""

    sentence: str
    text: str

    @property
    def is_block(self) -> bool:
        return "\n" in self.text


@dataclass(frozen=True)
class Way:
    """A program and its steps; `key` is its value of `?pull=`."""

    key: str
    label: str
    steps: tuple[Step, ...]
    note: str = ""


@dataclass(frozen=True)
class Pull:
    """An image to pull: its reference by digest, and where the registry is."""

    image: ManagedImage
    build: Build
    # The console's own address, for the SDK.
    instance: str

    @property
    def is_local(self) -> bool:
        """Whether the registry is that of `make run`."""
        return bool(settings.AWS_ENDPOINT_URL)

    @property
    def host(self) -> str:
        return settings.REGISTRY_HOST or UNKNOWN_HOST

    @property
    def reference(self) -> str:
        reference = pull_reference(self.image, self.build)
        return reference if settings.REGISTRY_HOST else f"{UNKNOWN_HOST}/{reference}"

    @property
    def password(self) -> str:
        """The command that prints a password for the registry."""
        if self.is_local:
            return ".venv/bin/python manage.py registry_password"
        return f"aws ecr get-login-password --region {settings.AWS_REGION}"

    def log_in(self, program: str, *options: str) -> Step:
        words = " ".join((program, "login", *options, "--username AWS --password-stdin", self.host))
        sentence = "Log in, with AWS credentials that may pull." if not self.is_local else "Log in."
        return Step(sentence, f"{self.password} | {words}")

    @property
    def before(self) -> tuple[Step, ...]:
        """On a local run, the keys for its registry; else the registry's host, if the instance has none."""
        if self.is_local:
            sentence = "In the folder of the platform, read the keys for the local registry."
            return (Step(sentence, "set -a; . .local/aws.env; set +a"),)
        if settings.REGISTRY_HOST:
            return ()
        host = f"123456789012.dkr.ecr.{settings.AWS_REGION}.amazonaws.com"
        sentence = (
            "This instance does not name its registry: ask an operator for the host, and set it."
        )
        return (Step(sentence, f"REGISTRY={host}"),)

    def ways(self) -> list[Way]:
        return [make(self) for make in WAYS]


def docker(pull: Pull) -> Way:
    steps = (*pull.before, pull.log_in("docker"), Step("Pull.", f"docker pull {pull.reference}"))
    return Way("docker", "Docker", steps)


def podman(pull: Pull) -> Way:
    options = ("--tls-verify=false",) if pull.is_local else ()
    words = " ".join(("podman pull", *options, pull.reference))
    steps = (*pull.before, pull.log_in("podman", *options), Step("Pull.", words))
    return Way("podman", "Podman", steps, "buildah takes the same arguments.")


def skopeo(pull: Pull) -> Way:
    login, copy = (
        (("--tls-verify=false",), ("--src-tls-verify=false",)) if pull.is_local else ((), ())
    )
    words = " ".join(("skopeo copy", *copy, f"docker://{pull.reference}"))
    steps = (
        *pull.before,
        pull.log_in("skopeo", *login),
        Step(
            "Copy it into a folder, without a container engine.", f"{words} oci:{pull.image.name}"
        ),
    )
    note = "On a machine without the registry: copy it to docker-archive:image.tar, and load that file there."
    return Way("skopeo", "skopeo", steps, note)


def kubernetes(pull: Pull) -> Way:
    if pull.is_local:
        return Way(
            "kubernetes", "Kubernetes", (), "A cluster does not reach the registry of a local run."
        )
    secret = (
        f"kubectl create secret docker-registry {PULL_SECRET} --docker-server={pull.host} "
        f'--docker-username=AWS --docker-password="$({pull.password})"'
    )
    steps = (
        *pull.before,
        Step(f"Create the pull secret. {LAPSES}", secret),
        Step("Name the image by digest and the secret in the pod.", pod(pull)),
    )
    note = (
        "On EKS the role of the nodes may pull without a secret: leave out imagePullSecrets. A model that "
        "follows the image resolves its reference at each start."
    )
    return Way("kubernetes", "Kubernetes", steps, note)


def pod(pull: Pull) -> str:
    # The name of a container is a DNS label (RFC 1123), of at most 63 characters.
    name = pull.image.name.replace("_", "-")[:63].rstrip("-")
    found: str = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "imagePullSecrets": [{"name": PULL_SECRET}],
                "containers": [{"name": name, "image": pull.reference}],
            },
        },
        sort_keys=False,
        width=1_000,
    )
    return found.rstrip()


def credential_helper(pull: Pull) -> Way:
    if pull.is_local:
        return Way(
            "helper",
            "Credential helper",
            (),
            "The helper knows registries in AWS, and none of a local run.",
        )
    configured = json.dumps({"credHelpers": {pull.host: "ecr-login"}}, indent=2)
    steps = (
        Step(
            "Install the helper. It takes AWS credentials of the environment, a profile or a role.",
            "sudo apt-get install amazon-ecr-credential-helper",
        ),
        Step(
            "Name it in ~/.docker/config.json, or in ~/.config/containers/auth.json for Podman and skopeo.",
            configured,
        ),
        Step("Pull, without logging in.", f"docker pull {pull.reference}"),
    )
    return Way("helper", "Credential helper", steps)


def python(pull: Pull) -> Way:
    text = (
        "from ri_platform_sdk import Client\n\n"
        f'with Client("{pull.instance}", token) as client:\n'
        f'    image = client.get_managed_image("{pull.image.name}")\n'
        "    print(image.pull_reference)"
    )
    step = Step("Ask for the reference of the current build, and give it to what pulls.", text)
    return Way("python", "Python", (step,))


WAYS: tuple[Callable[[Pull], Way], ...] = (
    docker, podman, skopeo, kubernetes, credential_helper, python,
)  # fmt: skip
