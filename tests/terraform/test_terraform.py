"""The module as Terraform sees it: its form, its own tests, and what it plans and makes in the local AWS.

Left out, with the reason, where there is no `terraform` or no AWS provider for it. The provider is taken from
the folder in TERRAFORM_PLUGIN_DIR, from a mirror of providers in one of the usual places, or from wherever
Terraform's own configuration says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from images.errors import RegistryDenied
from images.registry.distribution.descriptors import digest_of
from images.registry.ecr import local_iam
from images.registry.ecr.permissions import IDENTITIES, policy_document, repositories_arn
from ri_platform.local import services
from tests.local_aws import LocalAWS
from tests.needs import Lack, may_skip, refuse, require
from tools.terraform_docs import MODULE

pytestmark = pytest.mark.slow

ACCOUNT = "000000000000"
MIRRORS = ("/opt", "/usr/share/terraform", "/usr/local/share/terraform", "~/.terraform.d")

ROLES = """
module "rime" {
  source                 = "../.."
  trusted_principal_arns = ["arn:aws:iam::000000000000:root"]
}
output "role_arns" {
  value = module.rime.role_arns
}
"""
MOUNTING = """
module "rime" {
  source        = "../.."
  blob_mounting = true
}
"""


def mirror() -> str | None:
    """A folder with providers, laid out as Terraform's filesystem mirrors are."""
    if named := os.environ.get("TERRAFORM_PLUGIN_DIR"):
        return named
    for place in MIRRORS:
        # <mirror>/<host>/hashicorp/aws
        for found in sorted(Path(place).expanduser().glob("*/*/hashicorp/aws")):
            return str(found.parents[2])
    return None


class Terraform:
    """Terraform in a folder, as root of the local AWS."""

    def __init__(self, folder: Path, aws: LocalAWS) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "TF_CLI_CONFIG_FILE"},
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": local_iam.ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": local_iam.ROOT_KEY,
            "AWS_REGION": services.REGION,
            "TF_IN_AUTOMATION": "1",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def init(self) -> None:
        """Skips the test where the provider cannot be had."""
        found = mirror()
        place = [f"-plugin-dir={found}"] if found else []
        done = self.run("init", "-input=false", "-no-color", *place)
        if done.returncode != 0:
            lines = [line.strip("╷│╵ ") for line in done.stderr.splitlines() if "rror" in line]
            lack = Lack(f"terraform init found no AWS provider: {' '.join(lines)[:200]}")
            refuse(lack, may_skip(lack))

    def planned(self, *variables: str) -> dict[str, Any]:
        """The plan: its resources' values by address, and the outputs under `outputs`."""
        self("plan", "-input=false", "-no-color", "-out=plan", *(f"-var={v}" for v in variables))
        values = json.loads(self("show", "-json", "plan"))["planned_values"]
        (child,) = values["root_module"]["child_modules"]
        resources = {
            item["address"].removeprefix("module.rime."): item["values"]
            for item in child["resources"]
        }
        return {**resources, "outputs": {k: v.get("value") for k, v in values["outputs"].items()}}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A copy of the module, in which Terraform may leave what it likes."""
    require("terraform")
    ignored = shutil.ignore_patterns(".terraform*", "terraform.tfstate*")
    return Path(shutil.copytree(MODULE, tmp_path / "terraform", ignore=ignored))


def test_the_files_are_formatted(module: Path, aws: LocalAWS) -> None:
    assert Terraform(module, aws)("fmt", "-check", "-recursive", "-diff") == ""


def test_the_modules_own_tests_pass_on_a_mocked_provider(module: Path, aws: LocalAWS) -> None:
    terraform = Terraform(module, aws)
    terraform.init()
    assert "Success" in terraform("validate", "-no-color")
    assert "0 failed" in terraform("test", "-no-color")


def test_the_documents_configuration_plans_the_policies_that_the_suite_runs_under(
    module: Path, aws: LocalAWS
) -> None:
    terraform = Terraform(module / "examples/minimal", aws)
    terraform.init()
    planned = terraform.planned()
    assert {address.partition(".")[0] for address in planned} == {
        "aws_iam_policy",
        "aws_iam_role",
        "aws_iam_role_policy_attachment",
        "outputs",
    }
    iam = local_iam.root_client("iam", aws.url, services.REGION)
    repositories = repositories_arn("", partition="aws", region=services.REGION, account=ACCOUNT)
    for identity in IDENTITIES:
        rendered = json.loads(planned[f'aws_iam_policy.identity["{identity}"]']["policy"])
        loaded = iam.get_user_policy(
            UserName=local_iam.user_name(identity), PolicyName=local_iam.POLICY_NAME
        )["PolicyDocument"]
        assert rendered == loaded == policy_document(identity, repositories)
    assert planned["outputs"]["environment"] == {
        "RI_IMAGE_REGISTRY_ENABLE": "true",
        "RI_ALLOW_EXTERNAL_CUSTOM_IMAGES": "true",
        "RI_REPOSITORY_PREFIX": "rime-managed-images",
        "RI_REPOSITORY_SEGMENT": "",
        "RI_AWS_REGION": services.REGION,
        "RI_REGISTRY_HOST": f"{ACCOUNT}.dkr.ecr.{services.REGION}.amazonaws.com",
    }
    example = terraform.folder / "main.tf"
    example.write_text(example.read_text().replace("repository_prefix ", "repo_base_name "))
    refused = " ".join(terraform.run("plan", "-input=false", "-no-color").stderr.split())
    assert "repo_base_name is now called repository_prefix" in refused


def test_a_clusters_example_plans_its_associations(module: Path, aws: LocalAWS) -> None:
    terraform = Terraform(module / "examples/eks", aws)
    terraform.init()
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example/id/1"
    planned = terraform.planned("cluster_name=one", f"oidc_provider_arn={provider}")
    association = planned['aws_eks_pod_identity_association.identity["build-jobs"]']
    assert (association["cluster_name"], association["namespace"]) == ("one", "ml-platform")
    policy = json.loads(planned['aws_iam_policy.identity["build-jobs"]']["policy"])
    assert policy["Statement"][0]["Resource"].endswith(":repository/ml-team/images/*")


def test_the_roles_that_are_made_can_do_what_their_policies_say(
    module: Path, aws: LocalAWS, tmp_path: Path
) -> None:
    terraform = Terraform(module / "examples/roles", aws)
    terraform.folder.mkdir()
    (terraform.folder / "main.tf").write_text(ROLES)
    terraform.init()
    terraform("apply", "-auto-approve", "-input=false", "-no-color")
    arns = json.loads(terraform("output", "-json"))["role_arns"]["value"]
    roles = LocalAWS(aws.url, {name: assumed(aws, arn) for name, arn in arns.items()})
    repository, digest = "rime-managed-images/by-role", digest_of(b"layer")
    (tmp_path / "layer").write_bytes(b"layer")
    with roles.repositories(repository), roles.client() as client:
        client.upload_blob(repository, digest, 5, tmp_path / "layer", check=lambda: None)
        assert client.has_blob(repository, digest)
        assert roles.control("registry-server").list_images(repository) == []
        with pytest.raises(RegistryDenied, match="ecr:ListImages"):
            roles.control("build-jobs").list_images(repository)
    assert "No changes" in terraform("plan", "-input=false", "-no-color", "-detailed-exitcode")


def test_a_provider_that_knows_no_mounting_objects_only_where_it_is_asked_for(
    module: Path, aws: LocalAWS
) -> None:
    terraform = Terraform(module / "examples/mounting", aws)
    terraform.folder.mkdir()
    (terraform.folder / "main.tf").write_text(MOUNTING)
    terraform.init()
    done = terraform.run("plan", "-input=false", "-no-color")
    said = done.stdout + done.stderr
    assert 'aws_ecr_account_setting.blob_mounting["BLOB_MOUNTING"]' in said
    assert ("will be created" if done.returncode == 0 else "must be one of") in said


def assumed(aws: LocalAWS, arn: str) -> dict[str, str]:
    sts = local_iam.root_client("sts", aws.url, services.REGION)
    credentials = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
