"""Push: blobs, manifests, and the referrers that carry SBOM and provenance."""
