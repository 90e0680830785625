//! The fields of an environment.

use super::values::{Draft, Reader};
use crate::fields::{About, Field, Key, Kind, Mapping};
use crate::node::Entry;

/// Fields that only some kinds of environment have.
pub(super) const OF_KINDS: [(&str, &[&str]); 7] = [
    ("groups", &["uv"]),
    ("only_groups", &["uv"]),
    ("extras", &["uv"]),
    ("python", &["uv", "venv"]),
    ("environment", &["pixi"]),
    ("shell", &["nix"]),
    ("by", &["image", "conda"]),
];

/// Whether a field says how an environment is made.
pub(super) fn is_kind(field: &str) -> bool {
    let mut kinds = ENVIRONMENT.about.one_of.iter();
    kinds.any(|set| set.contains(&field))
}

const OTHERWISE: &str = "unless it is made another way";

type Read = fn(&mut Reader<'_>, &mut Draft, &Entry);

pub(crate) static ENVIRONMENT: Mapping<Read> = Mapping {
    about: About {
        one_of: &[
            &["uv"],
            &["venv"],
            &["conda"],
            &["pixi"],
            &["renv"],
            &["nix"],
            &["image"],
            &["tools"],
        ],
        instead: &[
            (
                &["poetry", "pip", "pipenv", "pdm"],
                "`poetry export`, `pip freeze` and the like write a requirements file with exact versions: name it by `venv`",
            ),
            (
                &["spack", "guix", "julia", "module"],
                "`tools: [..]` can list what is installed, such as `spack find --format '{name} {version} {hash}'`",
            ),
            (
                &["granular"],
                "all packages of an environment count, since what is not there decides, too: give stages that need fewer an \
                 environment of their own, such as by `only_groups`",
            ),
            (
                &["packages", "dependencies"],
                "packages stand in the file that `uv` or `venv` names",
            ),
        ],
        ..About::new(
            "Environment",
            "An environment",
            "an environment",
            "The software that stages run in, by one of the first fields. What is installed is part \
             of the key of each stage that runs in it; where that lies, and the environment's name, are not. It is made \
             once, when a stage is to run in it.",
        )
    },
    fields: &[
        (
            Field::sometimes(
                "uv",
                Kind::Filled,
                OTHERWISE,
                "The `pyproject.toml` of a uv project; `uv.lock` lies beside it. The key has the packages that the lock \
                 file installs on this platform, with their hashes. The project itself is not installed: its code is \
                 among the `deps` of the stages. An edit of `pyproject.toml` counts once it is locked.",
            )
            .key(Key::Part)
            .example("environments:\n  py: {uv: pyproject.toml, groups: [plot]}")
            .words(&["pyproject", "project"]),
            Some(|reader, draft, entry| draft.uv = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "venv",
                Kind::Filled,
                OTHERWISE,
                "A requirements file that names every package by `name==version`, with or without hashes, those too that \
                 others need: `pip freeze` and `uv pip compile` write one. Made by `python -m venv` and pip.",
            )
            .key(Key::Part)
            .example("environments:\n  py: {venv: requirements.txt, python: \"3.11\"}")
            .words(&["virtualenv", "requirements"]),
            Some(|reader, draft, entry| draft.venv = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "conda",
                Kind::Filled,
                OTHERWISE,
                "What `conda list --explicit --md5` prints, or a `conda-lock.yml`, of which the packages of category `main` for \
                 this platform are installed. The key has each package with its version, its build and its hashes.",
            )
            .key(Key::Part)
            .example("environments:\n  bio: {conda: conda.txt, by: micromamba}")
            .words(&["mamba", "micromamba", "conda_lock"]),
            Some(|reader, draft, entry| draft.conda = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "pixi",
                Kind::Filled,
                OTHERWISE,
                "The `pixi.toml` or `pyproject.toml` of a pixi project; `pixi.lock` lies beside it. The key has the packages that \
                 the lock file installs on this platform, from conda and from PyPI, with their hashes. Activation \
                 scripts and variables of the manifest are not used.",
            )
            .key(Key::Part)
            .example("environments:\n  py: {pixi: pixi.toml, environment: cuda}"),
            Some(|reader, draft, entry| draft.pixi = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "renv",
                Kind::Filled,
                OTHERWISE,
                "The `renv.lock` of an R project, which renv installs for the `R` of `PATH`. The key has each package with its \
                 version and hash, and the version of R. The R that is found first stays until it changes.",
            )
            .key(Key::Part)
            .example("environments:\n  r: {renv: renv.lock}")
            .words(&["renv_lock"]),
            Some(|reader, draft, entry| draft.renv = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "nix",
                Kind::Filled,
                OTHERWISE,
                "The `flake.nix` of a flake; `flake.lock` lies beside it. Stages run in its development shell, as by `nix \
                 develop`. The key has both files: of the lock file, the hash of each input. The flake can't read other \
                 files of the workspace.",
            )
            .key(Key::Part)
            .example("environments:\n  it: {nix: flake.nix, shell: fit}")
            .words(&["flake"]),
            Some(|reader, draft, entry| draft.nix = reader.path(entry)),
        ),
        (
            Field::sometimes(
                "image",
                Kind::Filled,
                OTHERWISE,
                "A container image, named by its digest, in which commands run. They see the work folder at the \
                 workspace's path. `isolation` does not apply: the container keeps them apart.",
            )
            .key(Key::Part)
            .words(&["container", "docker", "singularity"]),
            Some(|reader, draft, entry| draft.image = reader.image(entry)),
        ),
        (
            Field::sometimes(
                "tools",
                Kind::List(&Kind::Text),
                OTHERWISE,
                "Lines whose output says what is installed, as in `tools` of a stage. Nothing is made: the caller's \
                 `PATH` decides.",
            )
            .key(Key::Part)
            .example("environments:\n  r: {tools: [\"R --version\"]}")
            .words(&["tool", "versions"]),
            Some(|reader, draft, entry| draft.tools = Some(reader.tools(entry))),
        ),
        (
            Field::optional(
                "groups",
                Kind::List(&Kind::Text),
                "none, nor those that uv installs by default",
                "Groups of `[dependency-groups]` that `uv` installs, too.",
            )
            .key(Key::Part)
            .words(&["group"]),
            Some(|reader, draft, entry| draft.groups = reader.names(entry)),
        ),
        (
            Field::optional(
                "only_groups",
                Kind::List(&Kind::Text),
                "what the project depends on, and `groups`",
                "Groups that are all that `uv` installs: what the project itself depends on is left out. So stages that need                  different packages of one lock file have different keys.",
            )
            .key(Key::Part)
            .example("environments:\n  fit: {uv: pyproject.toml, only_groups: [fit]}\n  plot: {uv: pyproject.toml, only_groups: [plot]}")
            .words(&["only_group"]),
            Some(|reader, draft, entry| draft.only_groups = Some(reader.names(entry))),
        ),
        (
            Field::optional(
                "extras",
                Kind::List(&Kind::Text),
                "none",
                "Extras of `[project.optional-dependencies]` that `uv` installs, too.",
            )
            .key(Key::Part)
            .words(&["extra"]),
            Some(|reader, draft, entry| draft.extras = reader.names(entry)),
        ),
        (
            Field::optional(
                "python",
                Kind::Filled,
                "for `uv` what it chooses, for `venv` the `python3` of `PATH`",
                "The version of Python, `\"3.11\"` or `\"3.11.7\"`. The interpreter that is found first stays until it \
                 changes, or this does. Its version and ABI are part of the key.",
            )
            .key(Key::Part)
            .words(&["python_version", "interpreter"]),
            Some(|reader, draft, entry| draft.python = reader.python(entry)),
        ),
        (
            Field::optional(
                "environment",
                Kind::Filled,
                "default",
                "Which environment of a `pixi` project.",
            )
            .key(Key::Part),
            Some(|reader, draft, entry| draft.environment = reader.text(entry)),
        ),
        (
            Field::optional(
                "shell",
                Kind::Filled,
                "default",
                "Which of the flake's `devShells`, or of its packages, `nix` enters.",
            )
            .key(Key::Part),
            Some(|reader, draft, entry| draft.shell = reader.text(entry)),
        ),
        (
            Field::optional(
                "by",
                Kind::Word(&[
                    "podman",
                    "docker",
                    "apptainer",
                    "micromamba",
                    "mamba",
                    "conda",
                ]),
                "podman, micromamba",
                "What runs the `image` (podman, docker, apptainer), or installs the packages of `conda` (micromamba, mamba, conda).",
            )
            .key(Key::Outside)
            .words(&["runtime", "engine"]),
            Some(|reader, draft, entry| draft.by = reader.by(entry, draft)),
        ),
    ],
};
