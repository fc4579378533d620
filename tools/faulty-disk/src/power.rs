//! What a disk may hold after power was lost.
//!
//! Until a file is synced, each write to it may be on the disk or not, whole or in part, whatever was written after it: a disk and
//! what lies between it and a program carry writes out in any order, sector by sector. The same holds for names of files until their
//! folder is synced. What a sync that failed was about stays in doubt for good: the system takes it for written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use crate::journal::Event;
use crate::recorder::FileId;

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: u64 = 512;

/// Why a moment is one to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing of what is about to be synced need be there.
    BeforeSync,
    /// A mark is about to be made: what it says must hold already.
    BeforeMark,
    /// Nothing more happened.
    AtTheEnd,
}

/// What is left of what was in doubt when power was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// What chance says, the same for the same seed: each write whole, torn or not at all.
    Some(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Truncate { len: u64 },
}

impl Change {
    /// Whether nothing of `before` is left where this is done after it.
    fn hides(&self, before: &Change) -> bool {
        match (self, before) {
            (Change::Write { at, bytes }, Change::Write { at: start, bytes: hidden }) => {
                at <= start && start + hidden.len() as u64 <= at + bytes.len() as u64
            }
            (Change::Truncate { len }, Change::Write { at, .. }) => len <= at,
            (_, Change::Truncate { .. }) => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Durable,
    Unsynced,
    /// A sync that should have made it durable has failed.
    InDoubt,
}

/// One file: what is durable, and what came after it.
#[derive(Clone, Debug, Default)]
struct Content {
    base: Vec<u8>,
    changes: Vec<(Change, Standing)>,
}

fn write(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (start, end) = (at as usize, at as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => write(content, *at, bytes),
        Change::Truncate { len } => content.resize(*len as usize, 0),
    }
}

/// Writes those sectors that chance lets through.
fn apply_torn(content: &mut Vec<u8>, at: u64, bytes: &[u8], dice: &mut Xoshiro256StarStar) {
    let mut from = 0;
    while from < bytes.len() {
        let in_sector = SECTOR_BYTES - (at + from as u64) % SECTOR_BYTES;
        let to = bytes.len().min(from + in_sector as usize);
        if dice.next_u64().is_multiple_of(2) {
            write(content, at + from as u64, &bytes[from..to]);
        }
        from = to;
    }
}

impl Content {
    fn settle(&mut self, from: Standing, to: Standing) {
        for (_, standing) in &mut self.changes {
            if *standing == from {
                *standing = to;
            }
        }
        self.shorten();
    }

    /// What is in doubt is forgotten where something durable lies over it, and what is durable with nothing in doubt before it is the base.
    fn shorten(&mut self) {
        let mut at = 0;
        while at < self.changes.len() {
            let (rest, standing) = (&self.changes[at + 1..], self.changes[at].1);
            let is_hidden = standing != Standing::Durable
                && rest.iter().any(|(change, standing)| {
                    *standing == Standing::Durable && change.hides(&self.changes[at].0)
                });
            if is_hidden {
                self.changes.remove(at);
            } else {
                at += 1;
            }
        }
        let durable = self.changes.iter().take_while(|(_, standing)| *standing == Standing::Durable).count();
        for (change, _) in self.changes.drain(..durable) {
            apply(&mut self.base, &change);
        }
    }

    fn after_power_loss(&self, survivors: Survivors, dice: &mut Xoshiro256StarStar) -> Vec<u8> {
        let mut content = self.base.clone();
        for (change, standing) in &self.changes {
            match (survivors, change) {
                (Survivors::None, _) if *standing != Standing::Durable => {}
                (Survivors::Some(_), change) if *standing != Standing::Durable => {
                    match (dice.next_u64() % 4, change) {
                        (0 | 1, change) => apply(&mut content, change),
                        (2, Change::Write { at, bytes }) => apply_torn(&mut content, *at, bytes, dice),
                        _ => {}
                    }
                }
                (_, change) => apply(&mut content, change),
            }
        }
        content
    }
}

#[derive(Clone, Debug)]
enum NameChange {
    Added(String, FileId),
    Removed(String),
}

/// A moment at which power may be lost.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Why it is looked at.
    pub when: When,
    /// The newest mark before it.
    pub mark: Option<u64>,
    /// Which of all moments it is, from 0.
    pub number: u64,
    files: BTreeMap<FileId, Content>,
    names: BTreeMap<String, FileId>,
    name_changes: Vec<NameChange>,
}

impl Default for Moment {
    fn default() -> Self {
        let (files, names) = (BTreeMap::new(), BTreeMap::new());
        Self { when: When::AtTheEnd, mark: None, number: 0, files, names, name_changes: Vec::new() }
    }
}

fn change_names(names: &mut BTreeMap<String, FileId>, change: &NameChange) {
    match change {
        NameChange::Added(name, file) => drop(names.insert(name.clone(), *file)),
        NameChange::Removed(name) => drop(names.remove(name)),
    }
}

impl Moment {
    pub(crate) fn show(&mut self, when: When, look: &mut impl FnMut(&Moment)) {
        self.when = when;
        look(self);
        self.number += 1;
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Found { file, name, bytes } => {
                self.files.insert(*file, Content { base: bytes.clone(), changes: Vec::new() });
                self.names.insert(name.clone(), *file);
            }
            Event::Created { file, name } => {
                self.files.insert(*file, Content::default());
                self.name_changes.push(NameChange::Added(name.clone(), *file));
            }
            Event::Renamed { from, to } => {
                self.sync_folder();
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Event::Removed { name, is_durable } => {
                self.name_changes.push(NameChange::Removed(name.clone()));
                if *is_durable {
                    self.sync_folder();
                }
            }
            Event::Wrote { file, at, bytes } => {
                self.change(*file, Change::Write { at: *at, bytes: bytes.clone() });
            }
            Event::Truncated { file, len } => self.change(*file, Change::Truncate { len: *len }),
            Event::Synced { file } => self.content(*file).settle(Standing::Unsynced, Standing::Durable),
            Event::FolderSynced => self.sync_folder(),
            Event::SyncFailed { file } => self.content(*file).settle(Standing::Unsynced, Standing::InDoubt),
            Event::Rewritten { file, bytes } => {
                *self.content(*file) = Content { base: bytes.clone(), changes: Vec::new() };
            }
            Event::Mark(number) => self.mark = Some(*number),
        }
    }

    fn content(&mut self, file: FileId) -> &mut Content {
        self.files.entry(file).or_default()
    }

    fn change(&mut self, file: FileId, change: Change) {
        self.content(file).changes.push((change, Standing::Unsynced));
    }

    fn sync_folder(&mut self) {
        for change in self.name_changes.drain(..) {
            change_names(&mut self.names, &change);
        }
    }

    /// The files that the disk may hold if power is lost now, by name. What is in shared memory is lost.
    #[must_use]
    pub fn power_loss(&self, survivors: Survivors) -> BTreeMap<String, Vec<u8>> {
        let seed = if let Survivors::Some(seed) = survivors { seed } else { 0 };
        let mut dice = Xoshiro256StarStar::seed_from_u64(seed);
        let mut names = self.names.clone();
        for change in &self.name_changes {
            let survives = match survivors {
                Survivors::None => false,
                Survivors::All => true,
                Survivors::Some(_) => dice.next_u64().is_multiple_of(2),
            };
            if survives {
                change_names(&mut names, change);
            }
        }
        let content = |file: &FileId, dice: &mut _| self.files[file].after_power_loss(survivors, dice);
        names.iter().map(|(name, file)| (name.clone(), content(file, &mut dice))).collect()
    }

    /// Writes those files into a folder, which is made.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write_to(&self, folder: &Path, survivors: Survivors) {
        for (name, bytes) in self.power_loss(survivors) {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("the folder can be made");
            fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}
