# The Managed Image Registry's two identities in AWS, with exactly the documented actions.
#
# What they may do stands in policies/*.json.tftpl and nowhere else: the platform's own tests load the
# same files into a local AWS and run its main job under them.

locals {
  enabled = var.image_registry_config.enable

  # Surrounding blanks and one trailing slash are dropped, as the platform does. Empty means the
  # default, never "everything".
  configured_prefix  = trimsuffix(trimspace(var.image_registry_config.repository_prefix), "/")
  repository_prefix  = local.configured_prefix == "" ? "rime-managed-images" : local.configured_prefix
  repository_segment = trimspace(var.image_registry_config.repository_segment)

  # What this instance has of the prefix: all of it, or its own segment.
  own_prefix = local.repository_segment == "" ? local.repository_prefix : "${local.repository_prefix}/${local.repository_segment}"

  # Identity => the Kubernetes service account that has it. The keys name the policies' files.
  identities = local.enabled ? {
    registry-server = var.service_accounts.registry_server
    build-jobs      = var.service_accounts.build_jobs
  } : {}

  partition  = one(data.aws_partition.current[*].partition)
  dns_suffix = one(data.aws_partition.current[*].dns_suffix)
  region     = one(data.aws_region.current[*].id)
  account_id = one(data.aws_caller_identity.current[*].account_id)

  repositories = local.enabled ? "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/${local.own_prefix}/*" : null

  # What follows "oidc-provider/" is the issuer, by which its condition keys are named.
  oidc_issuer = var.oidc_provider_arn == null ? null : split("oidc-provider/", var.oidc_provider_arn)[1]
}

data "aws_partition" "current" {
  count = local.enabled ? 1 : 0
}

data "aws_region" "current" {
  count = local.enabled ? 1 : 0
}

data "aws_caller_identity" "current" {
  count = local.enabled ? 1 : 0
}

resource "aws_iam_policy" "identity" {
  for_each = local.identities

  name        = "${var.name}-${each.key}"
  description = "Managed Image Registry: what the ${each.key} may do with repositories under ${local.own_prefix}/."
  policy      = templatefile("${path.module}/policies/${each.key}.json.tftpl", { repositories = local.repositories })
  tags        = var.tags
}

resource "aws_iam_role" "identity" {
  for_each = local.identities

  name                 = "${var.name}-${each.key}"
  description          = "Managed Image Registry: the ${each.key}."
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      var.pod_identity ? [{
        Sid       = "PodIdentity"
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = merge(
            {
              "aws:RequestTag/kubernetes-namespace"       = var.kubernetes_namespace
              "aws:RequestTag/kubernetes-service-account" = each.value
            },
            var.eks_cluster_name == null ? {} : { "aws:RequestTag/eks-cluster-name" = var.eks_cluster_name },
          )
        }
      }] : [],
      var.oidc_provider_arn == null ? [] : [{
        Sid       = "ServiceAccount"
        Effect    = "Allow"
        Principal = { Federated = var.oidc_provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.oidc_issuer}:aud" = "sts.amazonaws.com"
            "${local.oidc_issuer}:sub" = "system:serviceaccount:${var.kubernetes_namespace}:${each.value}"
          }
        }
      }],
      length(var.trusted_principal_arns) == 0 ? [] : [{
        Sid       = "Principals"
        Effect    = "Allow"
        Principal = { AWS = var.trusted_principal_arns }
        Action    = "sts:AssumeRole"
      }],
    )
  })

  lifecycle {
    precondition {
      condition     = var.pod_identity || var.oidc_provider_arn != null || length(var.trusted_principal_arns) > 0
      error_message = "Nobody could assume the roles: leave pod_identity on, or set oidc_provider_arn or trusted_principal_arns."
    }
  }
}

resource "aws_iam_role_policy_attachment" "identity" {
  for_each = local.identities

  role       = aws_iam_role.identity[each.key].name
  policy_arn = aws_iam_policy.identity[each.key].arn
}

resource "aws_eks_pod_identity_association" "identity" {
  for_each = var.pod_identity && var.eks_cluster_name != null ? local.identities : {}

  cluster_name    = var.eks_cluster_name
  namespace       = var.kubernetes_namespace
  service_account = each.value
  role_arn        = aws_iam_role.identity[each.key].arn
  tags            = var.tags
}

# As a map, so that a provider which does not know the setting yet objects only where it is asked for.
resource "aws_ecr_account_setting" "blob_mounting" {
  for_each = local.enabled && var.blob_mounting ? { BLOB_MOUNTING = "ENABLED" } : {}

  name  = each.key
  value = each.value
}
