# The document's configuration as it stands. Pods of EKS clusters in this account may assume the roles by Pod
# Identity, with the service accounts rime-registry-server and rime-build-jobs in the namespace rime.

module "rime" {
  source = "../.."

  image_registry_config = {
    enable                       = true
    allow_external_custom_images = true
    repository_prefix            = ""
  }
}

output "environment" {
  value = module.rime.environment
}
