terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # aws_ecr_account_setting came with 5.81; BLOB_MOUNTING as a setting of it in February 2026.
      version = ">= 5.81"
    }
  }
}
