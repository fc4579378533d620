//! Reference data: the numbers of a game, in TOML files that operators may change while its world runs.
//!
//! *Does*: reads the files of a folder, or those that come with the game; hands them to the game's own type, which checks them
//! with a [`Checker`] that knows file, line and key; makes of them a version, and tables for a save and for export.
//! *Does not*: put anything into a world or a save: `server` exchanges it at a tick's edge, `store` writes it down, `driver`
//! watches the files. Nothing here knows what a game's data mean.
//! *Reads*: files of one folder, when asked to. *Writes*: nothing.
//!
//! ```
//! use std::collections::BTreeMap;
//! use terrane::reference::{Problem, Reference, ReferenceFile, ReferenceFiles, ReferenceTable, Spanned};
//! use terrane::prelude::*;
//!
//! /// What bread costs, by town.
//! struct Bakery { bread: BTreeMap<String, u32> }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Towns { town: Vec<Town> }
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Town { id: Spanned<String>, bread: Spanned<i64> }
//!
//! impl Reference for Bakery {
//!     const FILES: &'static [ReferenceFile] =
//!         &[ReferenceFile { name: "towns.toml", shipped: "[[town]]\nid = \"york\"\nbread = 3\n" }];
//!
//!     fn read(files: &ReferenceFiles) -> Result<Self, Vec<Problem>> {
//!         let mut check = files.check("towns.toml");
//!         let towns = check.parse::<Towns>().map_or_else(Vec::new, |towns| towns.town);
//!         check.ids("town", towns.iter().map(|town| &town.id));
//!         let bread = towns.iter().map(|town| {
//!             let key = format!("town.{}.bread", town.id.get_ref());
//!             (town.id.get_ref().clone(), check.whole(&key, &town.bread, 1..=100) as u32)
//!         });
//!         let bread = bread.collect();
//!         check.finish().map(|()| Self { bread })
//!     }
//!
//!     fn tables(&self) -> Vec<ReferenceTable> {
//!         vec![self.bread.iter().fold(ReferenceTable::new("town"), |table, (id, bread)| table.row(id, bread))]
//!     }
//! }
//!
//! let wrong = ReferenceFiles::shipped(Bakery::FILES).with("towns.toml", "[[town]]\nid = \"york\"\nbread = 0\n");
//! let problems = Bakery::read(&wrong).err().expect("bread is not free");
//! assert_eq!(
//!     problems[0].to_string(),
//!     "towns.toml:3:9: town.york.bread is 0; expected a whole number from 1 to 100; correct it",
//! );
//! ```

mod check;
mod cycle;
mod export;
mod files;
mod kind;
mod parse;
mod table;
#[cfg(test)]
mod tests;

pub use check::{Checker, finish_all};
pub use export::export;
pub use files::{FILE_BYTES_MAX, ROWS_MAX, ReferenceFile, ReferenceFiles, ReferenceText};
pub use kind::{LoadedReference, Reference, ReferenceKind, ReferenceVersion};
pub use table::ReferenceTable;

pub use crate::config::Problem;
pub use toml::Spanned;
