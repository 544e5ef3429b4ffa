"""The module as it is written: what it grants is what the platform may do. Needs no terraform."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from images.registry import naming
from images.registry.ecr.permissions import (
    AUTHORIZATION_ACTION,
    IDENTITIES,
    policy_document,
    repositories_arn,
)
from tests.terraform.document import pasted
from tools import terraform_docs
from tools.terraform_docs import MODULE, blocks, parse, unquote

pytestmark = pytest.mark.slow

REPOSITORIES = repositories_arn("", partition="aws", region="eu-west-1", account="123456789012")


def local(name: str) -> Any:
    for path in MODULE.glob("*.tf"):
        for block in parse(path.read_text()).get("locals", []):
            if name in block:
                return block[name]
    raise KeyError(name)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_policy_grants_the_documented_actions_and_nothing_else(identity: str) -> None:
    repositories, token = policy_document(identity, REPOSITORIES)["Statement"]
    assert tuple(repositories["Action"]) == IDENTITIES[identity]
    assert repositories["Effect"] == token["Effect"] == "Allow"
    assert repositories["Resource"] == (
        "arn:aws:ecr:eu-west-1:123456789012:repository/rime-managed-images/*"
    )
    assert (token["Action"], token["Resource"]) == (AUTHORIZATION_ACTION, "*")
    assert set(repositories) | set(token) == {"Sid", "Effect", "Action", "Resource"}


def test_the_module_renders_these_files_for_each_identity_and_grants_nothing_beside_them() -> None:
    resources = blocks("resource")
    assert {name for name in resources if "policy" in name} == {
        "aws_iam_policy.identity",
        "aws_iam_role_policy_attachment.identity",
    }
    policy = resources["aws_iam_policy.identity"]
    assert policy["policy"] == (
        '${templatefile("${path.module}/policies/${each.key}.json.tftpl", '
        "{repositories = local.repositories})}"
    )
    for name in ("policy.identity", "role.identity", "role_policy_attachment.identity"):
        assert resources[f"aws_iam_{name}"]["for_each"] == "${local.identities}"
    identities = set(re.findall(r"([a-z-]+) = var\.service_accounts", local("identities")))
    assert identities == set(IDENTITIES)
    assert {path.name.partition(".")[0] for path in (MODULE / "policies").iterdir()} == identities


def test_the_arn_is_of_the_partition_the_region_and_the_account() -> None:
    expression = json.loads(re.findall(r'"arn:.*?"', local("repositories"))[0])
    assert re.sub(r"\$\{local\.(\w+)\}", r"{\1}", expression).format(
        partition="aws-us-gov",
        region="us-gov-west-1",
        account_id="123456789012",
        own_prefix="team",
    ) == repositories_arn(
        "team", partition="aws-us-gov", region="us-gov-west-1", account="123456789012"
    )


def test_everything_that_is_made_hangs_on_enable() -> None:
    for name, block in {**blocks("resource"), **blocks("data")}.items():
        condition = str(block.get("for_each") or block.get("count"))
        assert "local.enabled" in condition or "local.identities" in condition, name
    assert local("enabled") == "${var.image_registry_config.enable}"
    assert local("identities").startswith("${local.enabled ? {")
    assert local("identities").endswith(" : {}}")


def test_the_documents_variable_has_its_defaults() -> None:
    variable = blocks("variable")["image_registry_config"]
    assert unquote(variable["type"]) == (
        "object({enable = optional(bool, true), allow_external_custom_images = optional(bool, true), "
        'repository_prefix = optional(string, ""), repository_segment = optional(string, ""), '
        "repo_base_name = optional(string)})"
    )
    assert variable["default"] == {}
    assert all("default" in variable for variable in blocks("variable").values())


def test_a_prefix_is_held_to_the_platforms_own_rules() -> None:
    pattern, length, segment, reserved, _ = validations()
    (written,) = re.findall(r'regex\("\^(.*?)\$",', pattern["condition"])
    assert written == naming._REPOSITORY.pattern
    (written,) = re.findall(r'regex\("\^(.*?)\$",', segment["condition"])
    assert written == naming._COMPONENT
    assert tuple(re.findall(r'"(\w+)"', reserved["condition"])) == naming.RESERVED
    longest = int(re.findall(r"<= (\d+)", length["condition"])[0])
    naming.normalize_prefix("a" * longest)
    with pytest.raises(ValueError, match="no room"):
        naming.normalize_prefix("a" * (longest + 1))
    assert f'"{naming.DEFAULT_PREFIX}"' in local("repository_prefix")


def validations() -> list[dict[str, str]]:
    found: list[dict[str, str]] = blocks("variable")["image_registry_config"]["validation"]
    return found


def test_the_documents_block_is_the_minimal_example_but_for_the_source() -> None:
    """So what is planned of the example is what whoever pastes the block gets."""
    block = parse(pasted("../.."))["module"]
    assert block == parse((MODULE / "examples/minimal/main.tf").read_text())["module"]


def test_the_former_name_of_the_prefix_is_told_the_present_one() -> None:
    *_, former = validations()
    assert former["condition"] == "${var.image_registry_config.repo_base_name == null}"
    assert "is now called repository_prefix" in former["error_message"]


def test_the_environment_names_variables_that_the_settings_read() -> None:
    names = set(re.findall(r"RI_\w+", local("environment")))
    source = (settings.BASE_DIR / "ri_platform/settings.py").read_text()
    assert {"RI_IMAGE_REGISTRY_ENABLE", "RI_REPOSITORY_PREFIX", "RI_REGISTRY_HOST"} <= names
    assert {name for name in names if f'"{name}"' not in source} == set()


def test_the_readme_has_every_input_and_output() -> None:
    readme = (MODULE / "README.md").read_text()
    assert terraform_docs.add_documentation(readme) == readme, "run: python -m tools.terraform_docs"
    for kind in ("variable", "output"):
        anchor = {"variable": "input", "output": "output"}[kind]
        for name, block in blocks(kind).items():
            assert f'<a name="{anchor}_{name}"></a>' in readme
            assert len(unquote(block["description"])) > 20, name


@pytest.mark.parametrize("path", sorted(MODULE.glob("examples/*/main.tf")), ids=str)
def test_examples_use_variables_that_there_are(path: Path) -> None:
    example = parse(path.read_text())
    (module,) = example["module"]
    arguments = {name for name in module['"rime"'] if not name.startswith("__")}
    assert arguments - {"source"} <= set(blocks("variable"))
    assert "image_registry_config" in arguments
