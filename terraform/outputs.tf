output "repository_prefix" {
  description = "The effective prefix, with the instance's segment: nothing outside `<repository_prefix>/` is ever acted on."
  value       = local.own_prefix
}

output "registry_host" {
  description = "The registry's host name, as pull commands name it; null if the registry is off."
  value       = local.registry_host
}

output "role_arns" {
  description = "The roles' ARNs by identity, `registry-server` and `build-jobs`; empty if the registry is off."
  value       = { for identity, role in aws_iam_role.identity : identity => role.arn }
}

output "policy_arns" {
  description = "The policies' ARNs by identity; empty if the registry is off."
  value       = { for identity, policy in aws_iam_policy.identity : identity => policy.arn }
}

output "environment" {
  description = "The platform's environment variables that follow from this configuration, the same for all its processes."
  value       = local.environment
}

output "helm_values" {
  description = "The same as values for a Helm release: the environment, and each worker's service account with its role."
  value = {
    environment = local.environment
    serviceAccounts = {
      for identity, account in local.identities : local.helm_names[identity] => {
        name        = account
        annotations = var.oidc_provider_arn == null ? {} : { "eks.amazonaws.com/role-arn" = aws_iam_role.identity[identity].arn }
      }
    }
  }
}

locals {
  registry_host = local.enabled ? "${local.account_id}.dkr.ecr.${local.region}.${local.dns_suffix}" : null

  helm_names = { registry-server = "registryServer", build-jobs = "buildJobs" }

  environment = merge(
    {
      RI_IMAGE_REGISTRY_ENABLE        = tostring(local.enabled)
      RI_ALLOW_EXTERNAL_CUSTOM_IMAGES = tostring(var.image_registry_config.allow_external_custom_images)
      RI_REPOSITORY_PREFIX            = local.repository_prefix
      RI_REPOSITORY_SEGMENT           = local.repository_segment
    },
    local.enabled ? {
      RI_AWS_REGION    = local.region
      RI_REGISTRY_HOST = local.registry_host
    } : {},
  )
}
