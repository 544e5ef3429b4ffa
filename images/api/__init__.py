"""REST endpoints for images, builds, models and webhooks, with their schemas."""
