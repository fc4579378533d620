//! Files that processes which are gone have left in the folder of a save.

use std::fs;
use std::path::{Path, PathBuf};

use super::copy::TEMPORARY;
use crate::store::database::{NEW, beside};
use crate::store::error::StoreError;
use crate::store::folder::SaveFolder;

/// Whether a process of this number runs. Where that cannot be told, it counts as running.
fn runs(pid: u32) -> bool {
    let proc = Path::new("/proc");
    !proc.join("self").exists() || proc.join(pid.to_string()).exists()
}

/// The process whose number stands behind `mark` in a name.
fn maker(name: &str, mark: &str) -> Option<u32> {
    let (_, rest) = name.split_once(mark)?;
    rest.split('-').next()?.parse().ok()
}

/// What was left in a folder whose lock the caller has: whatever a running world or a start under way would have there is nobody's.
pub(super) fn leftovers(folder: &SaveFolder) -> Result<Vec<PathBuf>, StoreError> {
    let path = folder.path();
    let file = SaveFolder::database_in(path);
    let named =
        |ending: &str| beside(&file, ending).file_name().map(|name| name.to_string_lossy().into_owned());
    let (new, copy) = (named(NEW).unwrap_or_default(), named(TEMPORARY).unwrap_or_default());
    let read = StoreError::io(path, "look through the folder");
    let mut found = Vec::new();
    let names = || -> std::io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    for name in names().map_err(read)? {
        let is_left = match name.as_str() {
            "run.json" | "run.json.tmp" => true,
            name if name.starts_with(&new) => true,
            name if name.starts_with(&copy) => maker(name, TEMPORARY).is_some_and(|pid| !runs(pid)),
            name if name.starts_with("backup.json.new-") => {
                maker(name, ".new-").is_some_and(|pid| !runs(pid))
            }
            _ => false,
        };
        if is_left {
            found.push(path.join(name));
        }
    }
    found.sort();
    Ok(found)
}
