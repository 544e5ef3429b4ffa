"""The block of the Terraform module as the document shows it."""

DOCUMENT = """
module "rime" {
  ...
  image_registry_config = {
    enable                       = true
    allow_external_custom_images = true
    repository_prefix            = ""
  }
  ...
}
"""


def pasted(source: str) -> str:
    """The block with what its first dots stand for, and nothing for the others."""
    return DOCUMENT.replace("...", f'source = "{source}"', 1).replace("...", "")
