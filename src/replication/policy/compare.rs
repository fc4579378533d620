//! Whether what is told of a component is what the naive sieve makes of it: for audits of running worlds.

use std::cell::Cell;

use crate::ids::{NetId, PlayerId, Role};
use crate::replication::field::{SyncFields, sent_fields};

use super::depends::Depends;
use super::subject::Subject;
use super::viewing::{ViewerContext, Viewing};

/// The sent fields, by number and in ascending order, whose wire bytes are not what this viewer is to see: another value,
/// or something hidden that is to be seen, or the other way round. Bytes are decoded and values compared; no encoder
/// takes part. `told` are (number, wire bytes) of the fields to look at.
///
/// O(bytes of the component), a few times over where something is wrong.
pub fn fields_told_wrong<C: SyncFields>(
    component: &C,
    viewing: &Viewing<'_>,
    told: &[(usize, &[u8])],
) -> Vec<usize> {
    let sieved = component.sieve(viewing);
    let mut wanted = Vec::new();
    sieved.value.save(&mut wanted);
    let mut saved = Vec::new();
    let mut is_wanted = |told: &[(usize, &[u8])]| {
        let mut held = sieved.value.clone();
        saved.clear();
        let decoded = told.iter().all(|(number, bytes)| held.decode_sent(*number, bytes).is_ok());
        held.save(&mut saved);
        decoded && saved == wanted
    };
    let names: Vec<&str> = sent_fields::<C>().map(|spec| spec.name).collect();
    let hides_wanted = |(number, bytes): (usize, &[u8])| {
        let hidden = C::hidden_paths(number, bytes);
        let wanted = sieved.hidden.iter().filter(|path| names.len() == 1 || is_of(path, names[number]));
        hidden.is_ok_and(|hidden| hidden.iter().eq(wanted))
    };
    let all_wanted = is_wanted(told);
    told.iter()
        .filter(|field| !((all_wanted || is_wanted(&[**field])) && hides_wanted(**field)))
        .map(|(number, _)| *number)
        .collect()
}

/// Whether a path lies in that field, or is it.
fn is_of(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Looks as somebody of whom nothing is known at an entity of which nothing is known: for fields that all see alike.
pub fn as_anybody<R>(net_id: NetId, look: impl FnOnce(&Viewing<'_>) -> R) -> R {
    let anybody = ViewerContext::new(PlayerId::new("anybody").expect("a name"), Role::Player);
    let (subject, reads) = (Subject::default(), Cell::new(Depends::NONE));
    look(&Viewing::new(&anybody, net_id, &subject, &reads))
}

/// Whether `told` is `source` but for names of entities that are hidden from who is told: those, and no others, are blank.
/// The names stand at `names`.
#[must_use]
pub fn same_but_for_names(
    told: &[u8],
    source: &[u8],
    names: &[usize],
    is_hidden: &dyn Fn(NetId) -> bool,
) -> bool {
    let mut wanted = source.to_vec();
    for &at in names {
        let Some(name) = wanted.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>()) else {
            return false;
        };
        if is_hidden(NetId(u64::from_le_bytes(*name))) {
            *name = [0; 8];
        }
    }
    told == wanted
}

/// What in these bytes reads as the name of an entity of which `is_one` says that it is one to be found.
pub fn names_in<'a>(
    bytes: &'a [u8],
    is_one: &'a dyn Fn(NetId) -> bool,
) -> impl Iterator<Item = (usize, NetId)> + 'a {
    let names = bytes
        .windows(8)
        .map(|window| NetId(u64::from_le_bytes(*window.first_chunk().expect("windows are eight bytes"))));
    names.enumerate().filter(|(_, name)| *name != NetId::WORLD && is_one(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blanked names pass, and nothing else that differs.
    #[test]
    fn nothing_but_a_hidden_name_may_be_blank() {
        let name = 0x1122_3344_5566_7788_u64;
        let source = [&[9, 0, 0][..], &name.to_le_bytes(), &[5]].concat();
        let blank = [&[9, 0, 0][..], &[0; 8], &[5]].concat();
        let is_hidden = |id: NetId| id.0 == name;
        let same = |told: &[u8], source: &[u8]| same_but_for_names(told, source, &[3], &is_hidden);
        assert!(same(&blank, &source));
        assert!(!same(&source, &source), "it is hidden");
        assert!(same_but_for_names(&source, &source, &[3], &|_| false), "it is seen");
        assert!(!same_but_for_names(&blank, &source, &[3], &|_| false), "it is seen");
        for at in 0..source.len() {
            let mut other = blank.clone();
            other[at] ^= 0x40;
            assert!(!same(&other, &source), "byte {at}");
        }
        assert!(!same(&blank[1..], &source));
        assert!(!same_but_for_names(&blank, &source, &[5], &is_hidden), "no name stands there");
        assert_eq!(names_in(&source, &is_hidden).collect::<Vec<_>>(), [(3, NetId(name))]);
    }
}
