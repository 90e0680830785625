//! `restage claims`: which of the paper's claims the results reproduce, and whether one got worse.

use std::path::Path;
use std::sync::Arc;

use crate::args::Claims;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::render::claims::{JudgedClaim, cases, json, markdown, table};
use crate::render::junit::junit;
use crate::settings::{Loaded, Settings, load};
use restage_claims::{Cells, Files, judge, read, write};
use restage_core::fs;
use restage_pipeline::{Claim, Diagnostic, Diagnostics, suggest};

pub(crate) fn claims(
    settings: &Settings,
    args: &Claims,
    out: &mut Output,
) -> Result<Exit, CliError> {
    if settings.json && (args.md || args.junit) {
        return Err(CliError::usage(
            "`--json` cannot be combined with `--md` or `--junit`",
        ));
    }
    let loaded = load(settings, &args.pipeline)?;
    let chosen = choose(&loaded, &args.ids)?;
    let file = format!("results/{}/claims.csv", loaded.profile);
    let path = loaded.root.join(&file);
    let committed = match fs::read_if_exists(&path).map_err(CliError::machine)? {
        // What is to be replaced may be damaged.
        Some(_) if args.write => None,
        Some(bytes) => Some(read(&bytes).map_err(|error| {
            CliError::usage(format!("`{file}` is not a table of verdicts: {error}"))
                .with_hint("restore it from git, or rewrite it with `restage claims --write`")
        })?),
        None => None,
    };
    let mut judged_claims = verdicts(&loaded, &chosen)?;
    for one in &mut judged_claims {
        let before = committed.as_ref().and_then(|all| all.get(&one.claim.id));
        one.before = before.copied();
    }
    if args.write {
        let bytes = write(judged_claims.iter().map(|one| (one.claim, &one.judged)));
        let bytes = bytes.map_err(|error| CliError::new(error, Exit::Bug))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(CliError::machine)?;
        fs::write_atomic(&path, &bytes).map_err(CliError::machine)?;
    }
    let text = match (settings.json, args.md, args.junit) {
        (true, ..) => json(&judged_claims, &loaded.profile),
        (_, true, _) => markdown(&judged_claims, &loaded.profile),
        (.., true) => {
            let suite = format!("claims.{}", loaded.profile);
            junit(&suite, &cases(&judged_claims))
                .map_err(|error| CliError::new(error, Exit::Bug))?
        }
        _ => table(
            &judged_claims,
            &loaded.profile,
            !args.ids.is_empty(),
            settings.out_style,
        ),
    };
    out.data(&text)?;
    if args.write {
        out.note(&format!("wrote {file}\n"));
    } else if committed.is_none() {
        out.note(&format!(
            "there is no `{file}` to compare with; `restage claims --write` creates it\n"
        ));
    } else if let Some(committed) = committed.filter(|_| args.ids.is_empty()) {
        for id in committed
            .keys()
            .filter(|id| !loaded.claims.iter().any(|claim| claim.id == **id))
        {
            let warning = settings.err_style.warning("warning:");
            out.note(&format!(
                "{warning} `{file}` has a verdict on `{id}`, which is no longer a claim\n"
            ));
        }
    }
    Ok(match judged_claims.iter().any(JudgedClaim::is_worse) {
        true => Exit::Different,
        false => Exit::Ok,
    })
}

/// Judges claims by the tables as they stand; none has a committed verdict yet.
pub(crate) fn verdicts<'a>(
    loaded: &Loaded,
    claims: &[&'a Claim],
) -> Result<Vec<JudgedClaim<'a>>, CliError> {
    let cells: Arc<dyn Cells> = Arc::new(Files::below(&loaded.root, loaded.graph.stages()));
    let (mut judged_claims, mut mistakes) = (Vec::new(), Vec::new());
    for claim in claims {
        match judge(claim, &cells) {
            Ok(judged) => judged_claims.push(JudgedClaim {
                claim,
                judged,
                before: None,
            }),
            Err((location, message)) => {
                let message = format!("claim `{}`: {message}", claim.id);
                mistakes.push(Diagnostic::new(
                    location,
                    message,
                    "evaluated on the tables",
                ));
            }
        }
    }
    match mistakes.is_empty() {
        true => Ok(judged_claims),
        false => Err(Diagnostics::new(&loaded.file_name, &loaded.text, mistakes).into()),
    }
}

/// The claims of these names or groups, in declared order.
fn choose<'a>(loaded: &'a Loaded, ids: &[String]) -> Result<Vec<&'a Claim>, CliError> {
    if loaded.claims.is_empty() {
        return Err(
            CliError::usage(format!("`{}` has no `claims:`", loaded.file_name))
                .with_hint("add the paper's claims there; README.md shows how"),
        );
    }
    let fits = |claim: &Claim, id: &str| claim.id == id || claim.id.split('@').next() == Some(id);
    for id in ids {
        if !loaded.claims.iter().any(|claim| fits(claim, id)) {
            let names = loaded.claims.iter().map(|claim| claim.id.as_str());
            let hint = suggest::hint_among(id, "the claims are", names);
            let error = CliError::usage(format!("there is no claim `{id}`"));
            return Err(match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
    }
    let wanted = |claim: &&Claim| ids.is_empty() || ids.iter().any(|id| fits(claim, id));
    Ok(loaded.claims.iter().filter(wanted).collect())
}
