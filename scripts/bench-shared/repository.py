"""Which commit is measured.

It must not know what is measured.
"""

import subprocess


def commit(root, paths):
    """With a word where `paths` hold what is not committed; `unknown` outside a repository."""

    def git(*words):
        result = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else None

    head = git("rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    return head + (" with uncommitted changes" if git("status", "--porcelain", "--", *paths) else "")
