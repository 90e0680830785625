//! `restage gc`: removes from the store what nothing needs.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::args::Gc;
use crate::error::CliError;
use crate::exit::Exit;
use crate::find;
use crate::format::{count, size};
use crate::maintenance::Maintenance;
use crate::output::Output;
use crate::settings::Settings;
use restage_engine::git;
use restage_engine::live_keys;
use restage_store::gc::{self, Category, Garbage, Needs};
use restage_store::lockfile::LockFile;
use restage_store::{Member, Presence, members};

pub(crate) fn gc(settings: &Settings, args: &Gc, out: &mut Output) -> Result<Exit, CliError> {
    let file = find::pipeline(settings, args.file.as_deref())?.path;
    let Some(maintenance) = Maintenance::open(settings, &file)? else {
        if !settings.json {
            out.note("nothing has run here yet, so there is nothing to remove\n");
        }
        return Ok(Exit::Ok);
    };
    let needs = needs(settings, args, &file, &maintenance, out)?;
    let store = &maintenance.store;
    let garbage = gc::find(store, &maintenance.root, &needs)?;
    if !args.dry_run {
        gc::remove(store, &garbage)?;
        store.stat_cache().save()?;
    }
    if !garbage.adopted().is_empty() && !settings.json {
        let stages: Vec<String> = garbage
            .adopted()
            .iter()
            .map(|one| format!("`{one}`"))
            .collect();
        out.note(&format!(
            "kept what {} adopted, which no run can make again; `--drop-adopted PROFILE/STAGE` drops it\n",
            stages.join(", ")
        ));
    }
    for text in store.take_warnings() {
        out.warning(&text);
    }
    let text = if settings.json {
        lines_json(&garbage, args.dry_run)
    } else {
        others(garbage.members(), args.dry_run) + &table(&garbage, args.dry_run)
    };
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// What the pipeline needs now, under every profile, here and in the other workspaces that share the
/// store.
fn needs(
    settings: &Settings,
    args: &Gc,
    file: &Path,
    maintenance: &Maintenance,
    out: &mut Output,
) -> Result<Needs, CliError> {
    let mut needs = Needs {
        runs: args.keep_runs,
        scratch: Some(BTreeSet::new()),
        programs: Some(BTreeSet::new()),
        environments: Some(BTreeSet::new()),
        drop_adopted: args.drop_adopted.iter().cloned().collect(),
        forget_unseen: args.forget_unseen,
        ..Needs::default()
    };
    let mut roots = vec![maintenance.root.clone()];
    let mut unknown = add_live_keys(settings, maintenance, file, &mut needs);
    for member in members(maintenance.store.location())? {
        let unseen = member.presence == Presence::Unseen && !args.forget_unseen;
        let why = match maintenance.of(&member) {
            Some(other) => {
                roots.push(other.root.clone());
                let name = file.file_name().unwrap_or_default();
                add_live_keys(settings, &other, &member.root.join(name), &mut needs)
            }
            None => unseen.then(|| unseen_text(&member)),
        };
        unknown = unknown.or(why);
    }
    if let Some(why) = unknown {
        out.warning(&format!(
            "{why}\n  so what would run next is unknown: checkpoints, environments and the newest programs \
             are kept"
        ));
        (needs.scratch, needs.programs, needs.environments) = (None, None, None);
    }
    for root in roots {
        match git::kept_texts(&root, ".lock") {
            Ok(texts) => {
                let texts = texts.unwrap_or_default();
                needs
                    .keys
                    .extend(texts.iter().flat_map(|text| LockFile::keys_in(text)));
            }
            Err(error) => {
                needs.all_records = true;
                out.warning(&format!(
                    "which results the branches, tags and stashes of `{}` need is unknown: {error}\n  \
                     so every result is kept",
                    root.display()
                ));
            }
        }
    }
    Ok(needs)
}

/// Adds what a workspace's pipeline would use; returns why some of it is unknown.
fn add_live_keys(
    settings: &Settings,
    maintenance: &Maintenance,
    file: &Path,
    needs: &mut Needs,
) -> Option<String> {
    let mut unknown = None;
    for loaded in maintenance.profiles(settings, file) {
        let Some(loaded) = loaded else {
            unknown = Some(format!("`{}` can't be read", file.display()));
            continue;
        };
        match live_keys(&maintenance.workspace(settings, &loaded), &loaded.graph) {
            Ok(live) => {
                needs.keys.extend(live.records);
                needs
                    .scratch
                    .iter_mut()
                    .for_each(|keys| keys.extend(&live.runs));
                let programs = needs.programs.iter_mut();
                programs.for_each(|code| code.extend(&live.programs));
                let environments = needs.environments.iter_mut();
                environments.for_each(|all| all.extend(&live.environments));
            }
            Err(error) => unknown = Some(format!("profile `{}`: {error}", loaded.profile())),
        }
    }
    unknown
}

fn unseen_text(member: &Member) -> String {
    let (root, host) = (member.root.display(), &member.host);
    format!("workspace `{root}` on {host} can't be seen from here")
}

/// What happens to the other workspaces that share the store.
fn others(members: &[Member], dry_run: bool) -> String {
    let mut text = String::new();
    for member in members {
        text += &match member.presence {
            Presence::Here => continue,
            Presence::Gone => {
                let kept = match dry_run {
                    true => "would no longer be kept",
                    false => "are no longer kept",
                };
                let root = member.root.display();
                format!("workspace `{root}` is gone: its results {kept}\n")
            }
            Presence::Unseen => format!(
                "{}: everything it ever had is kept (`--forget-unseen` drops it)\n",
                unseen_text(member)
            ),
        };
    }
    text
}

fn lines_json(garbage: &Garbage, dry_run: bool) -> String {
    let mut text = String::new();
    for category in Category::ALL {
        let tally = garbage.tally(category);
        let value = json!({
            "category": category.name(), "removed": tally.removed,
            "bytes": tally.bytes, "kept": tally.kept, "dry_run": dry_run,
        });
        text += &format!("{value}\n");
    }
    for stage in garbage.adopted() {
        text += &format!("{}\n", json!({ "adopted": stage, "dry_run": dry_run }));
    }
    for member in garbage.members() {
        let presence = match member.presence {
            Presence::Here => "here",
            Presence::Gone => "gone",
            Presence::Unseen => "unseen",
        };
        let value = json!({
            "workspace": member.root.display().to_string(), "host": member.host,
            "presence": presence, "dry_run": dry_run,
        });
        text += &format!("{value}\n");
    }
    text
}

/// A line for each category that is not empty, then the sum.
fn table(garbage: &Garbage, dry_run: bool) -> String {
    let total = garbage.total();
    if total.removed == 0 {
        return "nothing to remove: everything stored is needed\n".to_owned();
    }
    let goes = if dry_run { "to remove" } else { "removed" };
    let mut text = format!("{:15} {goes:>9} {:>9} {:>9}\n", "", "size", "kept");
    for category in Category::ALL {
        let tally = garbage.tally(category);
        if tally.removed + tally.kept > 0 {
            text += &format!(
                "{:15} {:>9} {:>9} {:>9}\n",
                category.name(),
                tally.removed,
                size(tally.bytes as f64),
                tally.kept
            );
        }
    }
    let free = size(total.bytes as f64);
    text += &match dry_run {
        true => format!("would free {free}; nothing was removed\n"),
        false => format!("freed {free}\n"),
    };
    let aside = garbage.tally(Category::Quarantine).removed;
    if aside > 0 {
        let what = count(aside, "damaged file");
        text += &match dry_run {
            true => format!("would remove {what} from quarantine for good\n"),
            false => format!("removed {what} from quarantine for good\n"),
        };
    }
    text
}
