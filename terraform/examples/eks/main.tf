# A prefix of one's own, one EKS cluster with both Pod Identity and IRSA, and a permissions boundary.

variable "cluster_name" {
  type = string
}

variable "oidc_provider_arn" {
  type = string
}

variable "permissions_boundary_arn" {
  type    = string
  default = null
}

module "rime" {
  source = "../.."

  image_registry_config = {
    repository_prefix            = "ml-team/images"
    allow_external_custom_images = false
  }

  name                     = "ml-team"
  kubernetes_namespace     = "ml-platform"
  eks_cluster_name         = var.cluster_name
  oidc_provider_arn        = var.oidc_provider_arn
  permissions_boundary_arn = var.permissions_boundary_arn
  tags                     = { team = "ml-platform" }
}

# What a helm_release takes among its `values`.
output "values" {
  value = yamlencode(module.rime.helm_values)
}
