variable "image_registry_config" {
  description = "The Managed Image Registry: whether it is on, whether images that the platform did not build may be used, and the prefix of the repositories that it manages. An empty prefix means `rime-managed-images`. Where several instances share an AWS account and region, each has a `repository_segment` of its own, and its repositories are under `<repository_prefix>/<repository_segment>/`."
  type = object({
    enable                       = optional(bool, true)
    allow_external_custom_images = optional(bool, true)
    repository_prefix            = optional(string, "")
    repository_segment           = optional(string, "")
    # Taken only so that it can be refused: Terraform drops attributes that a type does not have.
    repo_base_name = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = trimspace(var.image_registry_config.repository_prefix) == "" || can(regex("^(?:[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$", trimsuffix(trimspace(var.image_registry_config.repository_prefix), "/")))
    error_message = "The repository_prefix does not follow ECR's rules: lower-case letters and digits, with single '.', '_', '-' or '/' between them."
  }

  validation {
    condition     = length(trimsuffix(trimspace(var.image_registry_config.repository_prefix), "/")) + (trimspace(var.image_registry_config.repository_segment) == "" ? 0 : 1 + length(trimspace(var.image_registry_config.repository_segment)) + (trimsuffix(trimspace(var.image_registry_config.repository_prefix), "/") == "" ? length("rime-managed-images") : 0)) <= 122
    error_message = "The repository_prefix, with the repository_segment, leaves no room for an image's name of 128 characters: they may have 122."
  }

  validation {
    condition     = trimspace(var.image_registry_config.repository_segment) == "" || can(regex("^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$", trimspace(var.image_registry_config.repository_segment)))
    error_message = "The repository_segment is not one word of lower-case letters and digits, with single '.', '_' or '-' between them."
  }

  validation {
    condition     = !contains(["base", "doctor", "instance"], trimspace(var.image_registry_config.repository_segment))
    error_message = "The repository_segment is reserved, as are base, doctor and instance."
  }

  validation {
    condition     = var.image_registry_config.repo_base_name == null
    error_message = "repo_base_name is now called repository_prefix: the repositories' names begin with it and a slash. Write repository_prefix instead."
  }
}

variable "name" {
  description = "What the names of the IAM policies and roles begin with."
  type        = string
  default     = "rime"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,48}$", var.name))
    error_message = "The name may have 1 to 48 letters, digits and characters of +=,.@_-, so that IAM accepts the names made of it."
  }
}

variable "kubernetes_namespace" {
  description = "The Kubernetes namespace of the workers' service accounts."
  type        = string
  default     = "rime"
  nullable    = false
}

variable "service_accounts" {
  description = "The Kubernetes service accounts that may assume the roles, by identity."
  type = object({
    registry_server = optional(string, "rime-registry-server")
    build_jobs      = optional(string, "rime-build-jobs")
  })
  default  = {}
  nullable = false
}

variable "pod_identity" {
  description = "Whether EKS Pod Identity may assume the roles for those service accounts."
  type        = bool
  default     = true
  nullable    = false
}

variable "eks_cluster_name" {
  description = "The EKS cluster whose pods may assume the roles by Pod Identity; the associations are made for it. Without it, clusters of this account may, and the associations are yours to make."
  type        = string
  default     = null
}

variable "oidc_provider_arn" {
  description = "The ARN of the cluster's IAM OIDC provider, for IAM roles for service accounts (IRSA). Without it, the roles do not trust one."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "The oidc_provider_arn is not the ARN of an IAM OIDC provider."
  }
}

variable "trusted_principal_arns" {
  description = "Further IAM principals that may assume the roles, such as the role of a host that runs the workers outside of Kubernetes."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "The ARN of the policy that is the roles' permissions boundary."
  type        = string
  default     = null
}

variable "blob_mounting" {
  description = "Whether to turn on ECR's account setting BLOB_MOUNTING, for the whole account and region, so that images share layers instead of uploading them again. Needs an AWS provider that knows the setting, one of February 2026 or later."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
