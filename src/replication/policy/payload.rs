//! What one viewer sees of one field, in bytes.

use std::borrow::Cow;

use serde::Serialize;

use crate::replication::quantised::Quantised;

use super::depends::Depends;
use super::viewing::Viewing;
use super::writer::NodeWriter;

/// What became of a field for one viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Shown {
    /// The viewer may not see it: nothing was written.
    Hidden,
    /// The viewer sees what was written, which may be no bytes at all.
    Visible,
    /// The viewer sees what was written; parts that nest too deeply were left out, which is to be counted.
    CutShort,
    /// It is longer than its maximum, so nothing was written and it counts as hidden; to be counted.
    TooLong,
}

impl Shown {
    /// Whether the viewer sees the field.
    #[must_use]
    pub fn is_visible(self) -> bool {
        matches!(self, Shown::Visible | Shown::CutShort)
    }

    /// Whether something that the viewer might have seen was left out.
    #[must_use]
    pub fn is_oversized(self) -> bool {
        matches!(self, Shown::CutShort | Shown::TooLong)
    }
}

/// Where the payload of a field goes. For what `derive(Replicate)` writes.
#[derive(Debug)]
pub struct Payload<'a, 'v> {
    /// Who looks at what.
    pub viewing: &'a Viewing<'v>,
    /// The payload is appended to these.
    pub bytes: &'a mut Vec<u8>,
    /// Where ids lie in the payload is appended to these.
    pub ids: &'a mut Vec<u16>,
}

impl Payload<'_, '_> {
    fn show<V: Clone>(
        self,
        bytes_max: usize,
        seen: Option<Cow<'_, V>>,
        write: impl FnOnce(&V, &mut NodeWriter<'_>),
    ) -> Shown {
        let Some(value) = seen else { return Shown::Hidden };
        let (begin, first_id) = (self.bytes.len(), self.ids.len());
        let mut writer = NodeWriter::new(begin, self.bytes, self.ids);
        write(&value, &mut writer);
        let left_out = writer.left_out();
        if self.bytes.len() - begin > bytes_max {
            self.bytes.truncate(begin);
            self.ids.truncate(first_id);
            return Shown::TooLong;
        }
        if self.ids.len() > first_id {
            self.viewing.note(Depends::NAMED_IDS);
        }
        if left_out > 0 { Shown::CutShort } else { Shown::Visible }
    }

    /// A plain field.
    pub fn field<V: Serialize + Clone>(self, bytes_max: usize, seen: Option<Cow<'_, V>>) -> Shown {
        self.show(bytes_max, seen, |value, writer| writer.put(value))
    }

    /// A plain field whose ids everybody may know.
    pub fn revealing_field<V: Serialize + Clone>(self, bytes_max: usize, seen: Option<Cow<'_, V>>) -> Shown {
        self.show(bytes_max, seen, |value, writer| writer.put_revealing(value))
    }

    /// A field that is told in steps of `precision`.
    pub fn quantised_field<V: Quantised + Clone>(
        self,
        bytes_max: usize,
        seen: Option<Cow<'_, V>>,
        precision: f32,
    ) -> Shown {
        self.show(bytes_max, seen, |value, writer| writer.put_quantised(value, precision))
    }

    /// A field that is a node, which `encode` appends as this viewing shows it.
    pub fn nested_field<V: Clone>(
        self,
        bytes_max: usize,
        seen: Option<Cow<'_, V>>,
        encode: impl FnOnce(&V, Option<&Viewing<'_>>, &mut NodeWriter<'_>),
    ) -> Shown {
        let viewing = self.viewing;
        self.show(bytes_max, seen, |value, writer| encode(value, Some(viewing), writer))
    }
}
