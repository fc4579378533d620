//! Who carries what the outbox holds to where it belongs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::outbox::Delivery;
use crate::reward::Name;

/// Delivers one kind of what plans leave in the outbox: mails, charges, whatever lies outside of the world. It runs on a
/// thread of its own, one delivery after another, and may wait for others.
///
/// Everything is delivered at least once. After a crash, or a failure that was none, the same delivery comes again
/// under the same [`id`](Delivery::id): whoever receives it tells repeats by that.
pub trait Courier: Send + 'static {
    /// Delivers it. What fails is tried again later, ever more slowly, until an operator has to look at it.
    ///
    /// # Errors
    /// When it is not delivered: why, for operators.
    fn deliver(&mut self, delivery: &Delivery) -> Result<(), String>;
}

impl<F: FnMut(&Delivery) -> Result<(), String> + Send + 'static> Courier for F {
    fn deliver(&mut self, delivery: &Delivery) -> Result<(), String> {
        self(delivery)
    }
}

/// A game's couriers, by what they deliver.
#[derive(Default)]
pub struct Couriers(BTreeMap<Name, Box<dyn Courier>>);

impl std::fmt::Debug for Couriers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Couriers {
    /// With one more, for this kind.
    ///
    /// # Panics
    /// When there is one for it.
    pub fn add(&mut self, kind: Name, courier: impl Courier) {
        let twice = self.0.insert(kind.clone(), Box::new(courier));
        assert!(twice.is_none(), "two couriers deliver `{kind}`");
    }

    /// Lets the right one deliver it. One that panics has not delivered.
    ///
    /// # Errors
    /// When it is not delivered: why, for operators.
    pub fn deliver(&mut self, delivery: &Delivery) -> Result<(), String> {
        let Some(courier) = self.0.get_mut(&delivery.kind) else {
            return Err(format!("this game has no courier for `{}`", delivery.kind));
        };
        catch_unwind(AssertUnwindSafe(|| courier.deliver(delivery)))
            .unwrap_or_else(|_| Err(format!("the courier for `{}` panicked: see the log", delivery.kind)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn delivery(kind: &'static str) -> Delivery {
        Delivery { id: 7, kind: kind.into(), payload: vec![1, 2], attempts: 0 }
    }

    #[test]
    fn each_kind_has_its_courier_and_a_panic_is_a_failure() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut couriers = Couriers::default();
        let log = seen.clone();
        couriers.add("mail".into(), move |delivery: &Delivery| {
            log.lock().unwrap().push(delivery.id);
            Ok(())
        });
        couriers.add("charge".into(), |_: &Delivery| -> Result<(), String> { panic!("planted") });
        assert_eq!(couriers.deliver(&delivery("mail")), Ok(()));
        assert_eq!(*seen.lock().unwrap(), [7]);
        assert!(couriers.deliver(&delivery("charge")).unwrap_err().contains("panicked"));
        assert!(couriers.deliver(&delivery("pigeon")).unwrap_err().contains("no courier for `pigeon`"));
        assert_eq!(couriers.deliver(&delivery("mail")), Ok(()), "one that panicked harms no other");
    }
}
