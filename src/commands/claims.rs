//! `restage claims`: which of the paper's claims the results reproduce, and whether one got worse.

use std::path::Path;

use crate::args::Claims;
use crate::error::CliError;
use crate::exit::Exit;
use crate::judge::{JudgedClaim, judge_all};
use crate::left_over;
use crate::not_from_here;
use crate::output::Output;
use crate::render::claims::{cases, json, markdown, mistakes, table};
use crate::render::junit::junit;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_claims::{read, write};
use restage_core::fs;
use restage_core::suggest;
use restage_pipeline::Claim;

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
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let chosen = choose(&loaded, &args.ids)?;
    let file = format!("results/{}/claims.csv", loaded.profile());
    let path = loaded.root.join(&file);
    let committed = match fs::read_if_exists(&path)? {
        // A file that will be replaced may be damaged.
        Some(_) if args.write => None,
        Some(bytes) => Some(read(&bytes).map_err(|error| {
            CliError::usage(format!("`{file}` is not a table of verdicts: {error}"))
                .with_hint("restore it from git, or rewrite it with `restage claims --write`")
        })?),
        None => None,
    };
    let session = Session::look(settings, &loaded)?;
    let patterns = session.patterns()?;
    let judgement = judge_all(&loaded, &patterns, &chosen);
    // Also where a claim fails because of it.
    left_over::warn(&patterns, out);
    if let Some(error) = judgement.error(&loaded) {
        if settings.json {
            out.data(&mistakes(&judgement.mistakes, loaded.profile()))?;
        }
        return Err(error);
    }
    let mut judged_claims = judgement.claims;
    not_from_here::warn(&session, &judgement.used, out)?;
    session.workspace.save_cache();
    for one in &mut judged_claims {
        let before = committed.as_ref().and_then(|all| all.get(&one.claim.id));
        one.before = before.copied();
    }
    if args.write {
        let bytes = write(judged_claims.iter().map(|one| (one.claim, &one.judged)));
        let bytes = bytes.map_err(CliError::bug)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        fs::write_atomic(&path, &bytes)?;
    }
    let text = match (settings.json, args.md, args.junit) {
        (true, ..) => json(&judged_claims, loaded.profile()),
        (_, true, _) => markdown(&judged_claims, loaded.profile()),
        (.., true) => {
            let suite = format!("claims.{}", loaded.profile());
            junit(&suite, &cases(&judged_claims)).map_err(CliError::bug)?
        }
        _ => table(
            &judged_claims,
            loaded.profile(),
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
        for id in committed.keys().filter(|id| {
            !loaded
                .pipeline()
                .claims
                .iter()
                .any(|claim| claim.id == **id)
        }) {
            out.warning(&format!(
                "`{file}` has a verdict on `{id}`, which is no longer a claim"
            ));
        }
    }
    Ok(match judged_claims.iter().any(JudgedClaim::is_worse) {
        true => Exit::Different,
        false => Exit::Ok,
    })
}

/// The claims of these names or groups, in declared order.
fn choose<'a>(loaded: &'a Loaded, ids: &[String]) -> Result<Vec<&'a Claim>, CliError> {
    if loaded.pipeline().claims.is_empty() {
        return Err(
            CliError::usage(format!("`{}` has no `claims:`", loaded.file_name))
                .with_hint("add what the paper says, such as `claims: {works: {says: It works, holds: 'cell(\"t.csv\", 1, \"accuracy\") > 0.9'}}`"),
        );
    }
    let fits = |claim: &Claim, id: &str| claim.id == id || claim.id.split('@').next() == Some(id);
    for id in ids {
        if !loaded.pipeline().claims.iter().any(|claim| fits(claim, id)) {
            let names = loaded
                .pipeline()
                .claims
                .iter()
                .map(|claim| claim.id.as_str());
            let hint = suggest::hint_among(id, "the claims are", names);
            let error = CliError::usage(format!("there is no claim `{id}`"));
            return Err(error.maybe_hint(hint));
        }
    }
    let wanted = |claim: &&Claim| ids.is_empty() || ids.iter().any(|id| fits(claim, id));
    Ok(loaded.pipeline().claims.iter().filter(wanted).collect())
}
