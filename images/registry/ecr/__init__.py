"""ECR: repositories, permissions, lifecycle rules. The only folder that imports boto3."""
