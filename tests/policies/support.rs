//! What an engine and a client do with a component, in few lines.

use std::cell::Cell;

use terrane::ids::{NetId, PlayerId, Role};
use terrane::replication::field::{field_length, put_prefixed, sent_fields};
use terrane::replication::policy::{Depends, Shown, Subject, ViewerContext, Viewing};
use terrane::replication::{FieldWriter, SyncFields};

pub(crate) fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a good name")
}

pub(crate) fn viewer(name: &str) -> ViewerContext {
    ViewerContext::new(player(name), Role::Player)
}

/// Calls `look` with a viewing of entity 7, and says what was asked about.
pub(crate) fn looking<R>(
    viewer: &ViewerContext,
    subject: &Subject,
    look: impl FnOnce(&Viewing<'_>) -> R,
) -> (R, Depends) {
    let reads = Cell::new(Depends::NONE);
    let result = look(&Viewing::new(viewer, NetId(7), subject, &reads));
    (result, reads.get())
}

/// What one viewer is sent of a component, and holds then.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen<T> {
    /// The wire bytes of each sent field.
    pub(crate) fields: Vec<Vec<u8>>,
    /// What a client makes of them.
    pub(crate) value: T,
    /// The paths of what it cannot see.
    pub(crate) hidden: Vec<String>,
    /// Numbers of the fields that were too long to be sent.
    pub(crate) too_long: Vec<usize>,
    /// Something was left out because it nests too deeply.
    pub(crate) cut_short: bool,
}

/// Each sent field of the row as the engine keeps it: personal ones as hashes.
pub(crate) fn row<T: SyncFields>(value: &T) -> (Vec<Vec<u8>>, FieldWriter) {
    let mut writer = FieldWriter::default();
    value.encode_sent(&mut writer);
    let mut begin = 0;
    let fields = writer.ends.iter().map(|&end| {
        let field = writer.bytes[begin..usize::from(end)].to_vec();
        begin = usize::from(end);
        field
    });
    (fields.collect(), writer)
}

/// Sends a component to one viewer and reads it there.
pub(crate) fn seen<T: SyncFields>(value: &T, viewing: &Viewing<'_>) -> Seen<T> {
    let (row, writer) = row(value);
    let mut seen = Seen {
        fields: Vec::new(),
        value: T::default(),
        hidden: Vec::new(),
        too_long: Vec::new(),
        cut_short: writer.oversized > 0,
    };
    for (number, spec) in sent_fields::<T>().enumerate() {
        let mut bytes = Vec::new();
        if spec.personal {
            assert_eq!(row[number].len(), 8, "{}: the row holds a hash", spec.name);
            let (mut payload, mut ids) = (vec![1, 2, 3], vec![4]);
            let shown = value.encode_personal(number, viewing, &mut payload, &mut ids);
            assert_eq!((&payload[..3], ids[0]), (&[1, 2, 3][..], 4), "what was there stays");
            assert!(shown.is_visible() || (payload.len(), ids.len()) == (3, 1), "hidden is nothing at all");
            put_prefixed(&mut bytes, shown.is_visible().then_some(&payload[3..]));
            seen.too_long.extend((shown == Shown::TooLong).then_some(number));
            seen.cut_short |= shown == Shown::CutShort;
        } else {
            assert_eq!(
                value.encode_personal(number, viewing, &mut bytes, &mut Vec::new()),
                Shown::Hidden,
                "{} is not personal",
                spec.name
            );
            bytes.clone_from(&row[number]);
            let absent = spec.wire == terrane::replication::FieldWire::Prefixed && bytes == [0];
            seen.too_long.extend(absent.then_some(number));
        }
        assert_eq!(field_length(spec.wire, &bytes), Ok(bytes.len()), "{} delimits itself", spec.name);
        assert!(bytes.len() <= spec.wire_bytes_max(), "{} takes {} bytes", spec.name, bytes.len());
        seen.value.decode_sent(number, &bytes).expect("an honest field");
        seen.hidden.extend(T::hidden_paths(number, &bytes).expect("an honest field"));
        seen.fields.push(bytes);
    }
    seen
}

/// What the naive sieve says this viewer holds; fields that were too long to be sent count as hidden.
pub(crate) fn expected<T: SyncFields>(
    value: &T,
    viewing: &Viewing<'_>,
    too_long: &[usize],
) -> (T, Vec<String>) {
    let mut sieved = value.sieve(viewing);
    let names: Vec<_> = sent_fields::<T>().map(|spec| spec.name).collect();
    let top_of = |path: &String| {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        names.iter().position(|name| *name == &path[..end]).expect("a path begins with a field")
    };
    for &number in too_long {
        sieved.value.decode_sent(number, &[0]).expect("an absent field");
        sieved.hidden.retain(|path| top_of(path) != number);
        sieved.hidden.push(names[number].to_owned());
    }
    sieved.hidden.sort_by_key(top_of);
    (sieved.value, sieved.hidden)
}

/// Six bytes that come up in canaries alone.
pub(crate) const CANARY: u128 = 0x7a11_ab1e_5afe;

/// Splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize].clone()
    }

    /// A number that stands out in any bytes: they hold [`CANARY`] from their third on.
    pub(crate) fn canary(&mut self) -> u128 {
        let mut bytes = u128::from(self.roll() | 1 << 63) << 64 | u128::from(self.roll());
        bytes &= !(u128::from(u64::MAX >> 16) << 16);
        bytes | CANARY << 16
    }

    pub(crate) fn list<T>(&mut self, most: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}
