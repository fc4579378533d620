//! What happened to the files of a disk, in order.

use crate::power::{Moment, When};
use crate::recorder::FileId;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A file was found, and is taken as durable as it stands.
    Found { file: FileId, name: String, bytes: Vec<u8> },
    /// A file was made.
    Created { file: FileId, name: String },
    /// The program gave a file another name, and is believed to have made that durable.
    Renamed { from: String, to: String },
    /// A file was removed.
    Removed { name: String, is_durable: bool },
    /// Bytes were written.
    Wrote { file: FileId, at: u64, bytes: Vec<u8> },
    /// A file was cut off, or grew.
    Truncated { file: FileId, len: u64 },
    /// All that was written to a file is durable, but for what an earlier sync that failed was about.
    Synced { file: FileId },
    /// The names of all files are durable.
    FolderSynced,
    /// What was written to a file may never be durable, whatever a later sync says.
    SyncFailed { file: FileId },
    /// The program wrote the file anew, and is believed to have made that durable.
    Rewritten { file: FileId, bytes: Vec<u8> },
    /// The test has something to say.
    Mark(u64),
}

/// Everything that happened.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(crate) events: Vec<Event>,
}

impl Journal {
    /// How many syncs of a file there were.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Synced { .. })).count()
    }

    /// Shows every moment at which the outcome of a power loss may be another than before: ahead of each sync, whether it works
    /// or not, at each mark, and at the end.
    pub fn each_moment(&self, mut look: impl FnMut(&Moment)) {
        let mut moment = Moment::default();
        for event in &self.events {
            match event {
                Event::Synced { .. } | Event::SyncFailed { .. } => moment.show(When::BeforeSync, &mut look),
                // It is neither the number itself that counts, nor what is told after it.
                Event::Mark(_) => moment.show(When::BeforeMark, &mut look),
                _ => {}
            }
            moment.apply(event);
        }
        moment.show(When::AtTheEnd, &mut look);
    }
}
