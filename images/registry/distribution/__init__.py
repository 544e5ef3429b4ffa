"""The OCI distribution client: blobs and manifests over HTTP. It knows no ECR."""
