//! Reference data as JSON files.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::kind::LoadedReference;

/// Writes a file `KIND.json` for each table into a folder, which is made if it is not there, and tells which files. Each is one
/// object: `kind`, `version`, and `rows` by name.
///
/// # Errors
/// When the system refuses.
pub fn export(reference: &LoadedReference, folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let mut files = Vec::new();
    for table in reference.tables() {
        let rows: Map<String, Value> =
            table.rows().map(|(name, row)| (name.to_owned(), row.clone())).collect();
        let whole = json!({ "kind": table.kind(), "version": reference.version().to_string(), "rows": rows });
        let file = folder.join(format!("{}.json", table.kind()));
        // Whoever reads it meanwhile finds the old one or the new one.
        let beside = folder.join(format!("{}.json.new", table.kind()));
        std::fs::write(&beside, format!("{whole:#}\n"))?;
        std::fs::rename(&beside, &file)?;
        files.push(file);
    }
    Ok(files)
}
