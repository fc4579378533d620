//! How a pool fills up.

/// What has filled up in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    /// How much.
    pub(super) gained: u64,
    /// Up to when that is counted, milliseconds since 1970.
    pub(super) as_of_ms: u64,
}

/// What has filled up in a pool since it was counted last. One that was never counted is full: it had for ever to fill up. A
/// full one stands still, so the time until the next one begins when something is taken; below that what is begun is kept.
pub(super) fn filled(cap: u64, regen_ms: u64, held: u64, counted_ms: Option<u64>, now_ms: u64) -> Filled {
    let room = cap.saturating_sub(held);
    let Some(counted_ms) = counted_ms else { return Filled { gained: room, as_of_ms: now_ms } };
    // A calendar that was put back fills nothing, and takes nothing.
    let passed = now_ms.saturating_sub(counted_ms) / regen_ms;
    if passed >= room {
        return Filled { gained: room, as_of_ms: now_ms.max(counted_ms) };
    }
    Filled { gained: passed, as_of_ms: counted_ms + passed * regen_ms }
}
