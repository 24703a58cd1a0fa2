"""Where a chapter can be run by somebody who has no computer for it."""

import re

_ = str  # marks a message
BRANCH = "HEAD"
"""The repository's own default."""


def kernels(repository: str, page: str) -> dict[str, str]:
    """Addresses that open a chapter's notebook with a kernel, by what they say.

    Args:
        repository: on GitHub, as owner/name; without it nothing can be opened.
        page: of the chapter, as notebooks/01_inspect_parameters.

    Raises:
        ValueError: repository is not owner/name.
    """
    if not repository:
        return {}
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"repository is {repository!r}: write owner/name")
    colab = f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{BRANCH}"
    return {
        _("Open in Colab"): f"{colab}/{page}.ipynb",
        _("Open in Binder"): f"{binder}?labpath={page}.ipynb",
    }
