//! What everybody does in every tick.

use bevy_ecs::world::EntityWorldMut;
use terrane::prelude::*;
use terrane::replication::policy::Subject;

use super::Absence;
use super::dice::{BODY_FIELDS, CAMP_FIELDS, Dice};
use super::plan::Plan;
use super::{AVATAR, SPOT_RADIUS_M, SPOTS, near_a_spot};
use crate::things::{Banner, Body, Camp, Fate, File, Ledger, Load, MARKED, Orders, Plot, Vault};
use crate::twigs::Grove;

pub type Living<'a> =
    (Entity, &'a NetId, &'a mut Position, &'a mut Body, Option<&'a mut Camp>, Option<&'a mut Subject>);

/// Everybody walks, changes, speaks, is given to others, is born and dies.
pub fn live(
    plan: &Plan,
    context: &TickContext,
    mut requests: WorldRequests,
    mut commands: Commands,
    events: &mut PlayerEvents,
    mut things: Query<Living>,
) {
    for (entity, &me, mut place, mut body, camp, subject) in &mut things {
        let mut dice = plan.dice(me, context.tick, 0);
        let is_avatar = body.kind == AVATAR;
        let absence = plan.absence(me, context.tick);
        match absence {
            Absence::Waits => continue,
            Absence::Returns => {
                *body = dice.opened(Dice::body);
                if dice.open.chance(0.5) {
                    commands.entity(entity).insert(dice.opened(Dice::camp));
                } else {
                    commands.entity(entity).remove::<Camp>();
                }
                requests.teleport(me, near_a_spot(&mut dice.open, plan.spots()));
                continue;
            }
            Absence::Shows => {
                let mut shown = subject.map(|subject| subject.clone()).unwrap_or_default();
                dice.show(&mut shown);
                shown.set_tag(MARKED, dice.open.chance(0.5));
                shown.override_component::<Load>(None);
                commands.entity(entity).insert(shown);
                plan.note(1);
                continue;
            }
            Absence::None | Absence::Away | Absence::Gone => {}
        }
        if dice.open.chance(0.7) {
            let home = Vec2::from(SPOTS[(me.0 >> 8) as usize % plan.spots()]);
            let away = place.0.truncate() - home;
            let aim = if away.length() > SPOT_RADIUS_M {
                -away
            } else {
                Vec2::new(dice.open.between(-1.0..1.0), dice.open.between(-1.0..1.0))
            };
            let height = if dice.open.chance(0.1) { dice.open.between(-0.5..0.5) } else { 0.0 };
            place.0 += (aim.normalize_or_zero() * 2.5).extend(height);
        }
        let restless = if is_avatar { 0.01 } else { 0.005 };
        if dice.happens(if absence.is_away() { 0.1 } else { restless }) {
            requests.teleport(me, near_a_spot(&mut dice.open, plan.spots()));
        }
        // All at once: most of an update has one mask then, and not only places.
        if plan.crowd || context.tick.0.is_multiple_of(4) {
            dice.changes += 1;
            dice.change_body(&mut body, 0);
        }
        if plan.crowd {
            dice.changes += 3;
            (1..4).for_each(|field| dice.change_body(&mut body, field));
        }
        if dice.happens(0.06) {
            let field = dice.open.below(BODY_FIELDS);
            dice.change_body(&mut body, field);
        }
        if dice.happens_sealed(0.05) {
            body.seed = dice.private();
        }
        if let Some(mut camp) = camp {
            if dice.happens(0.05) {
                let field = dice.open.below(CAMP_FIELDS);
                dice.change_camp(&mut camp, field);
            }
            if dice.happens_sealed(0.08) {
                let hidden = [1, 2, 3, 4, 5, 7, 9][dice.sealed.below(7)];
                dice.change_camp(&mut camp, hidden);
            }
            if dice.happens(0.003) {
                commands.entity(entity).remove::<Camp>();
            }
        } else if dice.happens(0.003) {
            commands.entity(entity).insert(dice.camp());
        }
        dice.changes += plan.speak(&mut dice, me, absence.is_away(), events);
        match subject {
            subject if absence.is_away() => {
                let mut hidden = subject.map(|subject| subject.clone()).unwrap_or_default();
                dice.hide(&mut hidden);
                if dice.happens_sealed(0.1) {
                    dice.change_sealed_subject(&mut hidden);
                }
                commands.entity(entity).insert(hidden);
            }
            Some(mut subject) => {
                if dice.open.chance(0.04) || dice.phantom {
                    dice.change_subject(&mut subject);
                }
                // A foreign or phantom one must not become everybody's.
                if dice.open.chance(0.002) && !dice.foreign && !dice.phantom {
                    dice.changes += 1;
                    commands.entity(entity).remove::<Subject>();
                }
            }
            None if dice.open.chance(0.02) => {
                let mut subject = Subject::default();
                dice.change_subject(&mut subject);
                commands.entity(entity).insert(subject);
            }
            None => {}
        }
        if !is_avatar && !dice.phantom && !absence.is_away() && dice.happens(0.004) {
            match dice.newborn() {
                (body, Some(camp)) => requests.spawn_with_class(me, place.0, 2, (body, camp)),
                (body, None) => requests.spawn(me, place.0, body),
            }
        }
        let dies = match absence {
            _ if is_avatar || dice.phantom => false,
            Absence::Away => false,
            Absence::Gone => dice.happens_sealed(0.03),
            _ => dice.happens(0.003),
        };
        if dies {
            let dead = plan.dead.clone();
            commands.entity(entity).queue(move |entity: EntityWorldMut<'_>| {
                let subject = entity.get::<Subject>().cloned().unwrap_or_default();
                dead.lock().expect("nobody panicked").insert(me, subject);
                entity.despawn();
            });
        }
        plan.note(dice.changes);
    }
}

pub type Carrying<'a> = (
    Entity,
    &'a NetId,
    Option<&'a mut Vault>,
    Option<&'a mut Orders>,
    Option<&'a mut File>,
    Option<&'a mut Load>,
    Option<&'a mut Plot>,
    Option<&'a mut Banner>,
    Option<&'a mut Fate>,
    Option<&'a mut Ledger>,
    Option<&'a mut Grove>,
);

/// Components come, change and go.
pub fn carry(plan: &Plan, context: &TickContext, mut commands: Commands, mut things: Query<Carrying>) {
    for (entity, &me, vault, orders, file, load, plot, banner, fate, ledger, grove) in &mut things {
        let mut dice = plan.dice(me, context.tick, 1);
        match plan.absence(me, context.tick) {
            Absence::Returns => {
                // What Alice will see of it; what is hidden from her may be there or not.
                let mut entity = commands.entity(entity);
                entity.remove::<(Load, Grove, Ledger)>();
                if dice.open.chance(0.5) {
                    entity.insert(dice.load());
                }
                if dice.open.chance(0.3) {
                    entity.insert(dice.grove());
                }
                if dice.open.chance(0.3) {
                    entity.insert(dice.ledger());
                }
                continue;
            }
            Absence::Waits | Absence::Shows => continue,
            _ => {}
        }
        macro_rules! come_and_go {
            ($held:ident: $component:ty, $chance:ident, $made:expr) => {
                let (comes, changes, goes) =
                    (dice.$chance.chance(0.02), dice.$chance.chance(0.1), dice.$chance.chance(0.03));
                let happens = match $held {
                    None if comes => {
                        commands.entity(entity).insert($made);
                        true
                    }
                    Some(mut held) if changes => {
                        *held = $made;
                        true
                    }
                    Some(_) if goes => {
                        commands.entity(entity).remove::<$component>();
                        true
                    }
                    _ => false,
                };
                dice.changes += u64::from(happens);
            };
        }
        let (mut orders, mut ledger, mut grove) = (orders, ledger, grove);
        if let Some(grove) = &mut grove {
            if dice.happens(0.15) {
                dice.change_twig(&mut grove.root);
            }
            if dice.happens_sealed(0.1) {
                dice.reseal_twig(&mut grove.root);
            }
        }
        come_and_go!(grove: Grove, open, dice.grove());
        if let Some(ledger) = &mut ledger
            && dice.happens_sealed(0.1)
        {
            dice.reseal_ledger(ledger);
        }
        come_and_go!(ledger: Ledger, open, dice.ledger());
        come_and_go!(load: Load, open, dice.load());
        come_and_go!(vault: Vault, sealed, dice.vault());
        if let Some(orders) = &mut orders
            && dice.happens_sealed(0.08)
        {
            // Nothing that is sent of it changes, but who sees it.
            orders.sealed = !orders.sealed;
        }
        come_and_go!(orders: Orders, sealed, dice.orders());
        come_and_go!(file: File, sealed, File { text: dice.private() });
        come_and_go!(plot: Plot, sealed, dice.plot());
        come_and_go!(banner: Banner, sealed, Banner(dice.private()));
        come_and_go!(fate: Fate, sealed, Fate { thread: dice.private() });
        plan.note(dice.changes);
    }
}
