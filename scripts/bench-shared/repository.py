"""Finds the commit that is measured."""

import subprocess


def commit(root, paths):
    """The commit, marked if `paths` have uncommitted changes; `unknown` outside a repository."""

    def git(*words):
        result = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else None

    head = git("rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    return head + (" with uncommitted changes" if git("status", "--porcelain", "--", *paths) else "")
