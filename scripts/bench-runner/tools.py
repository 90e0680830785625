"""The tools: the files each needs, how to start it and how to install it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import environments
import workload
from environments import Missing

JOBS = 2


class Tool:
    """`write(folder, stages)` makes what it reads; `prepare` are commands to run there before."""

    def __init__(self, name, program, arguments, write, prepare=()):
        self.name, self.program, self.write, self.prepare = name, str(program), write, prepare
        self.command = [self.program, *arguments]

    def version(self):
        result = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+", result.stdout + result.stderr)
        return found.group(0) if found else "unknown"

    def make(self, folder, stages, env):
        """A folder in which nothing has run yet."""
        workload.write_sources(folder)
        self.set_up(folder, stages, env)

    def set_up(self, folder, stages, env):
        """In a folder that holds what the stages read."""
        self.write(folder, stages)
        for arguments in self.prepare:
            command = [self.program, *arguments]
            result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                raise Missing(f"{' '.join(arguments)} failed: {(result.stderr.strip() or 'no word').splitlines()[-1]}")


class Loop:
    """No tool: as many shells as there are jobs, each with its share of the commands in its own folder."""

    name = "sh"
    command = ["/bin/sh", "start.sh"]

    def make(self, folder, stages, _env):
        folder.mkdir(parents=True)
        share = -(-len(stages) // JOBS)
        for job in range(JOBS):
            workload.write_sources(folder / str(job))
            # A prefix of the stages reads only outputs of that prefix.
            mine = stages[: min(share, len(stages) - job * share)]
            lines = "".join(f"/bin/sh -c '{stage.command}'\n" for stage in mine)
            (folder / str(job) / "loop.sh").write_text(lines, encoding="utf-8")
        start = "".join(f"(cd {job} && exec /bin/sh loop.sh) &\n" for job in range(JOBS))
        (folder / "start.sh").write_text(f"{start}wait\n", encoding="utf-8")


def restage(program):
    def write(folder, stages):
        lines = ["schema: 1", "name: bench", "shell: sh", "stages:"]
        for stage in stages:
            lines += [f"  {stage.name}:", f"    cmd: {json.dumps(stage.command)}",
                      f"    deps: {json.dumps(stage.inputs)}", f"    outs: {json.dumps([stage.out])}"]
        write_lines(folder / "pipeline.yaml", lines)

    return Tool("restage", program, ["reproduce", "--quiet", "-j", str(JOBS)], write)


def ninja(venvs):
    def write(folder, stages):
        lines = ["rule sh", "  command = $line"]
        for stage in stages:
            lines += [f"build {stage.out}: sh {' '.join(stage.inputs)}", f"  line = {stage.command}"]
        write_lines(folder / "build.ninja", lines)

    found = shutil.which("ninja")
    # PyPI's older packages put a Python script before the program.
    if not found or Path(found).read_bytes()[:2] == b"#!":
        python = environments.python(venvs, "ninja", "RESTAGE_BENCH_NINJA_VENV", ["ninja"], "ninja")
        ask = [python, "-c", "import ninja; print(ninja.BIN_DIR)"]
        folder = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        found = os.path.join(folder, "ninja")
    return Tool("ninja", found, ["--quiet", f"-j{JOBS}"], write)


def make(_venvs):
    def write(folder, stages):
        lines = [f"all: {' '.join(workload.last(stages))}", ".PHONY: all"]
        for stage in stages:
            lines += [f"{stage.out}: {' '.join(stage.inputs)}", f"\t{stage.command}"]
        write_lines(folder / "Makefile", lines)

    found = shutil.which("make")
    if not found:
        raise Missing("make is not on PATH")
    return Tool("make", found, ["-s", "-r", "-R", f"-j{JOBS}"], write)


def doit(venvs):
    def write(folder, stages):
        tasks = [{"name": s.name, "actions": [s.command], "file_dep": s.inputs, "targets": [s.out]} for s in stages]
        listed = [f"    {task!r}," for task in tasks]
        lines = ["TASKS = [", *listed, "]", "def task_stage():", "    yield from TASKS"]
        write_lines(folder / "dodo.py", lines)

    arguments = ["run", "-n", str(JOBS), "-v", "0", "-r", "error-only"]
    return Tool("doit", script(venvs, "doit", ["doit"], "doit"), arguments, write)


def snakemake(venvs):
    def write(folder, stages):
        lines = ['shell.executable("/bin/sh")', 'shell.prefix("")']
        lines += ["rule all:", f"    input: {workload.last(stages)!r}"]
        for stage in stages:
            line = stage.command.replace("{", "{{").replace("}", "}}")
            lines += [f"rule {stage.name}:", f"    input: {stage.inputs!r}", f"    output: {stage.out!r}",
                      f"    shell: {line!r}"]
        write_lines(folder / "Snakefile", lines)

    program = script(venvs, "snakemake", ["snakemake"], "snakemake")
    return Tool("snakemake", program, [f"-j{JOBS}", "--quiet", "all"], write)


def dvc(venvs):
    def write(folder, stages):
        found = {s.name: {"cmd": s.command, "deps": s.inputs, "outs": [s.out]} for s in stages}
        # JSON is YAML.
        write_lines(folder / "dvc.yaml", [json.dumps({"stages": found}, indent=1)])

    prepare = [["init", "--no-scm", "--quiet"], ["config", "core.analytics", "false"],
               ["config", "core.check_update", "false"]]
    return Tool("dvc", script(venvs, "dvc", ["dvc"], "dvc"), ["repro", "--quiet"], write, prepare)


PEERS = {"ninja": ninja, "make": make, "doit": doit, "snakemake": snakemake, "dvc": dvc}


def script(venvs, name, packages, module):
    python = environments.python(venvs, name, f"RESTAGE_BENCH_{name.upper()}_VENV", packages, module)
    return Path(python).parent / name


def write_lines(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def b3sum(tools):
    """blake3's own program, built once."""
    for found in (tools / "bin" / "b3sum", shutil.which("b3sum")):
        if found and Path(found).exists():
            return str(found)
    print("installing b3sum from crates.io, once", flush=True)
    command = ["cargo", "install", "--quiet", "--locked", "b3sum", "--root", tools]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Missing(f"cargo cannot install b3sum: {(result.stderr.strip() or 'no word').splitlines()[-1]}")
    return str(tools / "bin" / "b3sum")
