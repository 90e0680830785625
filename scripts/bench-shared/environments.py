"""Python environments with the programs that restage is compared with: built once, kept in `target`."""

import os
import subprocess
import sys
from pathlib import Path


class Missing(Exception):
    """What is missing, and what would help."""


def python(root, name, variable, packages, module, seconds=None):
    """The interpreter of an environment with `module`; `variable` may name a ready one. Installing may take `seconds`."""
    given = os.environ.get(variable)
    folder = Path(given) if given else root / name
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        if given:
            raise Missing(f"{variable}={given} holds no bin/python")
        create(folder)
    if not imports(interpreter, module):
        if given:
            raise Missing(f"the environment {variable}={given} cannot import {module}")
        install(interpreter, packages, seconds)
        if not imports(interpreter, module):
            raise Missing(f"{', '.join(packages)} installed, but {module} cannot be imported")
    return interpreter


def imports(interpreter, module):
    command = [interpreter, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def create(folder):
    result = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip()
        raise Missing(f"python3 cannot create an environment (Debian: apt install python3-venv): {said}")


def install(interpreter, packages, seconds):
    print(f"installing {', '.join(packages)} from PyPI, once", flush=True)
    command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Missing(f"pip did not install {', '.join(packages)} within {seconds} s") from None
    if result.returncode != 0:
        last = (result.stderr.strip() or "pip said nothing").splitlines()[-1]
        raise Missing(f"pip cannot install {', '.join(packages)}: {last}")
