//! What everybody does in every tick.

use terrane::prelude::*;
use terrane::replication::policy::Subject;

use super::dice::{BODY_FIELDS, CAMP_FIELDS};
use super::plan::Plan;
use super::{AVATAR, SPOT_RADIUS_M, SPOTS, near_a_spot};
use crate::things::{Banner, Body, Camp, Fate, File, Load, Orders, Plot, Vault};

pub type Living<'a> =
    (Entity, &'a NetId, &'a mut Position, &'a mut Body, Option<&'a mut Camp>, Option<&'a mut Subject>);

/// Everybody walks, changes, is given to others, is born and dies.
pub fn live(
    plan: &Plan,
    context: &TickContext,
    mut requests: WorldRequests,
    mut commands: Commands,
    mut things: Query<Living>,
) {
    for (entity, &me, mut place, mut body, camp, subject) in &mut things {
        let mut dice = plan.dice(me, context.tick, 0);
        let is_avatar = body.kind == AVATAR;
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
        if dice.open.chance(if is_avatar { 0.01 } else { 0.005 }) {
            requests.teleport(me, near_a_spot(&mut dice.open, plan.spots()));
        }
        // All at once: most of an update has one mask then, and not only places.
        if plan.crowd || context.tick.0.is_multiple_of(4) {
            dice.change_body(&mut body, 0);
        }
        if plan.crowd {
            (1..4).for_each(|field| dice.change_body(&mut body, field));
        }
        if dice.open.chance(0.06) {
            let field = dice.open.below(BODY_FIELDS);
            dice.change_body(&mut body, field);
        }
        if dice.sealed.chance(0.05) {
            body.seed = dice.private();
        }
        if let Some(mut camp) = camp {
            if dice.open.chance(0.05) {
                let field = dice.open.below(CAMP_FIELDS);
                dice.change_camp(&mut camp, field);
            }
            if dice.sealed.chance(0.08) {
                let hidden = [1, 2, 3, 4, 5, 7, 9][dice.sealed.below(7)];
                dice.change_camp(&mut camp, hidden);
            }
            if dice.open.chance(0.003) {
                commands.entity(entity).remove::<Camp>();
            }
        } else if dice.open.chance(0.003) {
            commands.entity(entity).insert(dice.camp());
        }
        match subject {
            Some(mut subject) => {
                if dice.open.chance(0.04) || dice.phantom {
                    dice.change_subject(&mut subject);
                }
                // A foreign or phantom one must not become everybody's.
                if dice.open.chance(0.002) && !dice.foreign && !dice.phantom {
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
        if is_avatar || dice.phantom {
            continue;
        }
        if dice.open.chance(0.004) {
            match dice.newborn() {
                (body, Some(camp)) => requests.spawn_with_class(me, place.0, 2, (body, camp)),
                (body, None) => requests.spawn(me, place.0, body),
            }
        }
        if dice.open.chance(0.003) {
            commands.entity(entity).despawn();
        }
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
);

/// Components come, change and go.
pub fn carry(plan: &Plan, context: &TickContext, mut commands: Commands, mut things: Query<Carrying>) {
    for (entity, &me, vault, orders, file, load, plot, banner, fate) in &mut things {
        let mut dice = plan.dice(me, context.tick, 1);
        macro_rules! come_and_go {
            ($held:ident: $component:ty, $chance:ident, $made:expr) => {
                let (comes, changes, goes) =
                    (dice.$chance.chance(0.02), dice.$chance.chance(0.1), dice.$chance.chance(0.03));
                match $held {
                    None if comes => drop(commands.entity(entity).insert($made)),
                    Some(mut held) if changes => *held = $made,
                    Some(_) if goes => drop(commands.entity(entity).remove::<$component>()),
                    _ => {}
                }
            };
        }
        come_and_go!(load: Load, open, dice.load());
        come_and_go!(vault: Vault, sealed, dice.vault());
        let mut orders = orders;
        if let Some(orders) = &mut orders
            && dice.sealed.chance(0.08)
        {
            // Nothing that is sent of it changes, but who sees it.
            orders.sealed = !orders.sealed;
        }
        come_and_go!(orders: Orders, sealed, dice.orders());
        come_and_go!(file: File, sealed, File { text: dice.private() });
        come_and_go!(plot: Plot, sealed, dice.plot());
        come_and_go!(banner: Banner, sealed, Banner(dice.private()));
        come_and_go!(fate: Fate, sealed, Fate { thread: dice.private() });
    }
}
