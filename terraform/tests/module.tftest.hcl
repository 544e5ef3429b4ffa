# Run by `terraform test`: the whole module on a provider that only pretends. What is rendered with a real
# provider, tests/terraform/ compares with what the platform's tests run under.

mock_provider "aws" {
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  override_data {
    target = data.aws_region.current
    values = { id = "eu-west-1" }
  }
  override_data {
    target = data.aws_caller_identity.current
    values = { account_id = "123456789012" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mocked" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
}

run "as_the_document_shows_it" {
  variables {
    image_registry_config = {
      enable                       = true
      allow_external_custom_images = true
      repository_prefix            = ""
    }
  }

  assert {
    condition     = output.repository_prefix == "rime-managed-images"
    error_message = "An empty prefix must mean the default."
  }
  assert {
    condition     = toset(keys(aws_iam_role.identity)) == toset(["registry-server", "build-jobs"])
    error_message = "There are two identities."
  }
  assert {
    condition = alltrue([
      for policy in aws_iam_policy.identity :
      jsondecode(policy.policy).Statement[0].Resource == "arn:aws:ecr:eu-west-1:123456789012:repository/rime-managed-images/*"
    ])
    error_message = "The actions are for repositories under the prefix alone."
  }
  assert {
    condition = alltrue([
      for policy in aws_iam_policy.identity :
      jsondecode(policy.policy).Statement[1] == {
        Sid = "Authorize", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*"
      }
    ])
    error_message = "A token is for all resources."
  }
  assert {
    condition = output.environment == {
      RI_IMAGE_REGISTRY_ENABLE        = "true"
      RI_ALLOW_EXTERNAL_CUSTOM_IMAGES = "true"
      RI_REPOSITORY_PREFIX            = "rime-managed-images"
      RI_REPOSITORY_SEGMENT           = ""
      RI_AWS_REGION                   = "eu-west-1"
      RI_REGISTRY_HOST                = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    }
    error_message = "The environment does not follow from the configuration."
  }
  assert {
    condition     = length(aws_ecr_account_setting.blob_mounting) == 0 && length(aws_eks_pod_identity_association.identity) == 0
    error_message = "Nothing that was not asked for is made."
  }
}

run "nothing_set_is_the_same" {
  assert {
    condition     = output.environment == run.as_the_document_shows_it.environment
    error_message = "The document's defaults must be the module's."
  }
}

run "off_makes_nothing" {
  variables {
    image_registry_config = { enable = false }
    blob_mounting         = true
    eks_cluster_name      = "one"
  }

  assert {
    condition = sum([
      length(aws_iam_policy.identity), length(aws_iam_role.identity),
      length(aws_iam_role_policy_attachment.identity), length(aws_eks_pod_identity_association.identity),
      length(aws_ecr_account_setting.blob_mounting),
    ]) == 0
    error_message = "enable = false must make nothing."
  }
  assert {
    condition     = output.environment["RI_IMAGE_REGISTRY_ENABLE"] == "false" && output.registry_host == null && output.role_arns == {}
    error_message = "The outputs must say that it is off."
  }
}

run "a_cluster_with_both_ways_in" {
  variables {
    eks_cluster_name         = "one"
    oidc_provider_arn        = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    trusted_principal_arns   = ["arn:aws:iam::123456789012:role/host"]
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.identity["build-jobs"].assume_role_policy).Statement : statement.Sid] == [
      "PodIdentity", "ServiceAccount", "Principals"
    ]
    error_message = "The role must trust all three."
  }
  assert {
    condition = jsondecode(aws_iam_role.identity["build-jobs"].assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:RequestTag/kubernetes-namespace"       = "rime"
      "aws:RequestTag/kubernetes-service-account" = "rime-build-jobs"
      "aws:RequestTag/eks-cluster-name"           = "one"
    }
    error_message = "Pod Identity must be held to cluster, namespace and service account."
  }
  assert {
    condition = jsondecode(aws_iam_role.identity["registry-server"].assume_role_policy).Statement[1].Condition.StringEquals == {
      "oidc.eks.eu-west-1.amazonaws.com/id/ABC:aud" = "sts.amazonaws.com"
      "oidc.eks.eu-west-1.amazonaws.com/id/ABC:sub" = "system:serviceaccount:rime:rime-registry-server"
    }
    error_message = "IRSA must be held to audience and service account."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.identity : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "The boundary must bound both roles."
  }
  assert {
    condition     = { for identity, association in aws_eks_pod_identity_association.identity : identity => association.service_account } == { registry-server = "rime-registry-server", build-jobs = "rime-build-jobs" }
    error_message = "Each service account must be associated with its role."
  }
  assert {
    condition     = output.helm_values.serviceAccounts.buildJobs.annotations["eks.amazonaws.com/role-arn"] == "arn:aws:iam::123456789012:role/mocked"
    error_message = "The service account's annotation must name its role."
  }
}

run "another_partition" {
  variables {
    image_registry_config = { repository_prefix = " team/images/ " }
  }
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }
  override_data {
    target = data.aws_region.current
    values = { id = "cn-north-1" }
  }

  assert {
    condition     = jsondecode(aws_iam_policy.identity["build-jobs"].policy).Statement[0].Resource == "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/images/*"
    error_message = "The ARN must be of the partition, and the prefix without blanks and slash."
  }
  assert {
    condition     = output.registry_host == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
    error_message = "The registry's host is the partition's."
  }
}

run "a_segment_of_its_own" {
  variables {
    image_registry_config = { repository_segment = "a" }
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_policy.identity :
      jsondecode(policy.policy).Statement[0].Resource == "arn:aws:ecr:eu-west-1:123456789012:repository/rime-managed-images/a/*"
    ])
    error_message = "The actions are for the instance's own segment alone."
  }
  assert {
    condition     = output.environment["RI_REPOSITORY_PREFIX"] == "rime-managed-images" && output.environment["RI_REPOSITORY_SEGMENT"] == "a"
    error_message = "The platform must know of the segment."
  }
}

run "a_segment_of_two_words" {
  command = plan
  variables {
    image_registry_config = { repository_segment = "a/b" }
  }
  expect_failures = [var.image_registry_config]
}

run "a_reserved_segment" {
  command = plan
  variables {
    image_registry_config = { repository_segment = "base" }
  }
  expect_failures = [var.image_registry_config]
}

run "the_former_name_of_the_prefix" {
  command = plan
  variables {
    image_registry_config = { repo_base_name = "team" }
  }
  expect_failures = [var.image_registry_config]
}

run "a_prefix_that_ecr_would_refuse" {
  command = plan
  variables {
    image_registry_config = { repository_prefix = "Team" }
  }
  expect_failures = [var.image_registry_config]
}

run "a_slash_alone" {
  command = plan
  variables {
    image_registry_config = { repository_prefix = "/" }
  }
  expect_failures = [var.image_registry_config]
}

run "a_prefix_that_leaves_no_room" {
  command = plan
  variables {
    image_registry_config = { repository_prefix = "a123456789a123456789a123456789a123456789a123456789a123456789a123456789a123456789a123456789a123456789a123456789a123456789abc" }
  }
  expect_failures = [var.image_registry_config]
}

run "a_provider_that_is_none" {
  command = plan
  variables {
    oidc_provider_arn = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
  }
  expect_failures = [var.oidc_provider_arn]
}

run "roles_that_nobody_could_assume" {
  command = plan
  variables {
    pod_identity = false
  }
  expect_failures = [aws_iam_role.identity]
}
