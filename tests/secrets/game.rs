//! A game in which everything that sync policies go by changes all the time, by chance that is the same on every
//! layout.
//!
//! Chance comes in two streams: *open* chance decides what Alice may notice, *sealed* chance all else. Of two worlds that
//! differ in the seed of the sealed one alone she must be told the same, bit by bit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use terrane::ids::{CellId, PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::policy::{ComponentRule, Permissions, Subject, ViewerContext};

use crate::things::{
    Banner, Body, CLEARANCE, Camp, Chest, Fate, File, Item, Load, MARKED, NAMES, NEED_FACT, Orders, PRIVATE,
    PUBLIC, Plot, Seal, Tree, Vault, Wagon,
};

/// Edge of the world, m: what is always relevant may be farther than low bits of places reach.
pub const EDGE_M: f32 = 600.0;
/// Where everybody likes to be: a corner of four cells of 120 m, the middle of an edge, the corner of the quarters, the
/// middle of a cell.
const SPOTS: [[f32; 2]; 4] = [[240.0, 240.0], [360.0, 420.0], [300.0, 300.0], [60.0, 540.0]];
const SPOT_RADIUS_M: f32 = 26.0;
/// How many there are in the beginning, of whom those that hide from Alice for good are the last.
pub const POPULATION: u64 = 70;
const PHANTOMS: u64 = 12;

/// What kind of world it is.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Seed of all that is hidden from Alice; `None` where nothing is in particular.
    pub secret: Option<u64>,
    /// How many of the population there are.
    pub population: u64,
    /// Everybody is in one place, so that updates cannot take all that happens.
    pub crowd: bool,
    /// Nothing happens any more.
    pub frozen: Arc<AtomicBool>,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        Self { seed, secret: None, population: POPULATION, crowd: false, frozen: Arc::default() }
    }

    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    /// The chance of one entity in one tick.
    pub fn dice(&self, me: NetId, tick: TickNumber, purpose: u32) -> Dice {
        let open = Random::new(self.seed, me, tick, purpose);
        let sealed = Random::new(self.secret.unwrap_or(self.seed) ^ 0x5ea1, me, tick, purpose);
        let (phantom, foreign) = (self.is_phantom(me), self.is_foreign(me));
        // Of what Alice may have something to do with nothing is sealed.
        let shared = self.secret.is_some() && !foreign;
        let sealed = if shared { Random::new(self.seed ^ 0x5ea1, me, tick, purpose) } else { sealed };
        let open = if phantom { Random::new(self.secret.unwrap_or(0), me, tick, purpose) } else { open };
        Dice { open, sealed, foreign, phantom, is_twin: self.secret.is_some() }
    }

    /// How many places there are to be at.
    fn spots(&self) -> usize {
        if self.crowd { 1 } else { SPOTS.len() }
    }

    /// Whether what is private of the entity is private before Alice.
    fn is_foreign(&self, me: NetId) -> bool {
        let of_alice = || (1..20).any(|life| NetId::derive(SECRET, spawner_of("alice"), life) == me);
        self.secret.is_some() && (self.is_phantom(me) || (!me.0.is_multiple_of(3) && !of_alice()))
    }

    /// Whether it hides from Alice for good. Phantoms have no children.
    fn is_phantom(&self, me: NetId) -> bool {
        self.secret.is_some() && (POPULATION - PHANTOMS + 1..=POPULATION).any(|number| name_of(number) == me)
    }
}

/// Key of all names.
const SECRET: u64 = 0x7365_6372_6574;

/// The name of one of the population, from 1.
pub fn name_of(number: u64) -> NetId {
    NetId::derive(SECRET, NetId::WORLD, number)
}

/// Whose children a player's avatars are: so their names do not depend on how many others there are.
fn spawner_of(player: &str) -> NetId {
    NetId(1 + Random::named(SECRET, player).bits() / 2)
}

/// Open and sealed chance.
pub struct Dice {
    pub open: Random,
    pub sealed: Random,
    /// What is private must be hidden from Alice.
    foreign: bool,
    phantom: bool,
    is_twin: bool,
}

impl Dice {
    fn player(chance: &mut Random, foreign: bool) -> PlayerId {
        let first = usize::from(foreign);
        PlayerId::new(NAMES[first + chance.below(NAMES.len() - first)]).expect("a name")
    }

    /// Somebody or something, born or not: what is named need not be there.
    fn somebody(chance: &mut Random) -> NetId {
        let one = name_of(1 + chance.below(POPULATION as usize) as u64);
        if chance.chance(0.2) { NetId::derive(SECRET, one, 1) } else { one }
    }

    fn public(&mut self) -> u128 {
        PUBLIC << 80 | u128::from(self.open.bits()) << 16 | u128::from(self.open.bits() as u16)
    }

    /// No policy that goes by the value shows it to Alice, if it is foreign: it is not for her by name, and none of its
    /// questions is about tags, which are open.
    fn private(&mut self) -> u128 {
        let bits = u128::from(self.sealed.bits()) << 16 | u128::from(self.sealed.bits() as u16);
        let mut value = PRIVATE << 80 | bits;
        if self.foreign {
            value &= !(1 << 16);
            value |= u128::from(value % 8 == 6) | u128::from((value >> 8) % 8 == 6) << 8;
        }
        value
    }

    /// For who sees a part of something as a whole: all of it from open chance.
    fn opened<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let saved = self.sealed.clone();
        self.sealed = Random::new(self.open.bits(), NetId(1), TickNumber(1), 1);
        let made = make(self);
        self.sealed = saved;
        made
    }

    /// For what nobody but those who may not be Alice sees: all of it from sealed chance.
    fn closed<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let saved = self.open.clone();
        self.open = Random::new(self.sealed.bits(), NetId(1), TickNumber(1), 1);
        let made = make(self);
        self.open = saved;
        made
    }

    fn by_player<T>(&mut self, make: impl Fn(&mut Self) -> T) -> BTreeMap<PlayerId, T> {
        let mut all = BTreeMap::new();
        for (number, name) in NAMES.iter().enumerate() {
            let of = if number == 0 { &mut self.open } else { &mut self.sealed };
            if of.chance(0.4) {
                let one = if number == 0 { self.opened(&make) } else { self.closed(&make) };
                all.insert(PlayerId::new(name).expect("a name"), one);
            }
        }
        all
    }

    fn item(&mut self) -> Item {
        match self.open.below(3) {
            0 => Item::Nothing,
            1 => Item::Coin(self.private(), self.private()),
            _ => Item::Letter {
                to: Self::somebody(&mut self.open),
                text: self.private(),
                seal: self.closed(|dice| Seal(dice.private(), dice.open.bits() as u8, dice.private())),
            },
        }
    }

    fn chest(&mut self) -> Chest {
        let items = self.open.below(3);
        Chest {
            lock: self.private(),
            weight: self.open.below(200) as f32,
            items: (0..items).map(|_| self.item()).collect(),
            count: 99,
        }
    }

    fn wagon(&mut self) -> Wagon {
        let chests = self.open.chance(0.6);
        Wagon {
            rule: loop {
                let rule = self.sealed.bits() as u8;
                if !self.foreign || rule % 8 != 6 {
                    break rule;
                }
            },
            label: self.open.bits() as u16,
            secret: self.private(),
            chests: if chests {
                self.closed(|dice| (0..=dice.open.below(2)).map(|_| dice.chest()).collect())
            } else {
                Vec::new()
            },
            own: self.by_player(Self::chest),
            mark: if self.open.chance(0.5) { Some(self.item()) } else { None },
        }
    }

    fn camp(&mut self) -> Camp {
        let mut camp = Camp {
            name: format!("camp {}", self.open.below(100)),
            bids: self.by_player(Self::chest),
            goal: self.sealed.below(100) as f32 * 0.7,
            ..Camp::default()
        };
        for field in 0..CAMP_FIELDS {
            self.change_camp(&mut camp, field);
        }
        camp
    }

    fn change_camp(&mut self, camp: &mut Camp, field: usize) {
        match field {
            0 => camp.purse = self.open.below(50) as u32 * 100 + self.sealed.below(100) as u32,
            1 => camp.omen = self.private(),
            2 => camp.lot = self.private(),
            3 => camp.rumour = self.private(),
            4 => {
                let ids = self.sealed.below(3);
                let ids = (0..ids).map(|_| Self::somebody(&mut self.sealed)).collect();
                camp.password = (self.private(), ids);
            }
            5 => camp.rival = (self.private(), Self::somebody(&mut self.sealed)),
            6 => camp.shares = self.by_player(Self::private),
            7 => camp.seed = self.private(),
            8 => {
                let wagons = self.open.below(3);
                camp.wagons = (0..wagons).map(|_| self.wagon()).collect();
            }
            9 => {
                // A wagon that anybody may see by its rule has nothing to hide from Alice but what it holds.
                camp.reserve = self.closed(|dice| (0..dice.open.below(3)).map(|_| dice.wagon()).collect());
            }
            10 => camp.bids = self.by_player(Self::chest),
            11 => camp.leader = if self.open.chance(0.5) { Some(Box::new(self.wagon())) } else { None },
            _ => {
                let debts = self.open.below(4);
                camp.debts = (0..debts).map(|_| (Self::somebody(&mut self.open), self.item())).collect();
            }
        }
    }

    fn vault(&mut self) -> Vault {
        self.closed(|dice| Vault {
            gold: dice.open.bits() as u16,
            deed: dice.private(),
            code: dice.private(),
            key: dice.private(),
            heir: dice.open.chance(0.5).then(|| Self::somebody(&mut dice.open)),
        })
    }

    fn orders(&mut self) -> Orders {
        let foreign = self.foreign;
        self.closed(|dice| {
            // For whom a fact is enough may be Alice.
            let level = dice.open.below(16) as u8;
            let level = if foreign && level % 4 == 2 { 3 } else { level };
            Orders { level, text: dice.private(), sealed: dice.open.chance(0.3) }
        })
    }

    fn plot(&mut self) -> Plot {
        self.closed(|dice| Plot { goal: dice.private(), shares: dice.by_player(Self::private) })
    }

    fn body(&mut self) -> Body {
        let mut body = Body {
            kind: self.open.below(4) as u8,
            label: self.public(),
            friend: Some(Self::somebody(&mut self.open)),
            ..Body::default()
        };
        for field in 0..BODY_FIELDS {
            self.change_body(&mut body, field);
        }
        body
    }

    fn change_body(&mut self, body: &mut Body, field: usize) {
        let open = &mut self.open;
        match field {
            0 => body.mood = open.below(1_000) as u16,
            1 => body.heading = open.below(100) as f32 * 0.3,
            2 => body.purse = open.below(30) as u32 * 100 + self.sealed.below(100) as u32,
            3 => body.target = open.chance(0.4).then(|| Self::somebody(open)),
            4 => {
                let count = if open.chance(0.3) { 1 + open.below(3) } else { 0 };
                body.sightings = (0..count).map(|_| (Self::somebody(open), open.below(9) as u8)).collect();
            }
            _ => body.seed = self.private(),
        }
    }

    /// A body, and now and then a camp: by open chance alone, and nothing private for Alice, since it may be more of her
    /// business than its parent is, or less.
    fn newborn(&mut self) -> (Body, Option<Camp>) {
        let of_parent = std::mem::replace(&mut self.foreign, self.is_twin);
        let newborn = self.opened(|dice| {
            let body = dice.body();
            (body, if dice.open.chance(0.4) { Some(dice.camp()) } else { None })
        });
        self.foreign = of_parent;
        newborn
    }

    fn load(&mut self) -> Load {
        Load { weight: self.open.below(900) as u16, stamp: self.public() }
    }

    /// Changes one thing about who may see an entity. Whether Alice may, and what policies tell her, is open; everything
    /// else is sealed.
    pub fn change_subject(&mut self, subject: &mut Subject) {
        if self.phantom {
            return subject.set_hidden_from(alice(), true);
        }
        if !self.foreign {
            return self.change_shared_subject(subject);
        }
        let parties = [None, Some(PartyId(2)), Some(PartyId(3))];
        let teams = [None, Some(TeamId(2)), Some(TeamId(3))];
        match self.open.below(8) {
            0 => subject.set_tag(MARKED, self.open.chance(0.5)),
            1 => self.hide_from_alice(subject),
            2 => {
                // Whether the load is hidden from Alice, by whatever rule.
                let hidden = self.open.chance(0.5);
                let ways = [
                    ComponentRule::Owner,
                    ComponentRule::Party,
                    ComponentRule::Team,
                    ComponentRule::Role(Role::Gm),
                    ComponentRule::Nobody,
                ];
                let rule = if hidden {
                    Some(ways[self.sealed.below(ways.len())])
                } else if self.sealed.chance(0.5) {
                    Some(ComponentRule::Everyone)
                } else {
                    None
                };
                subject.override_component::<Load>(rule);
            }
            _ => match self.sealed.below(6) {
                0 => {
                    let owner = Self::player(&mut self.sealed, true);
                    subject.set_owner(self.sealed.chance(0.7).then_some(owner));
                }
                1 => subject.set_party(parties[self.sealed.below(3)]),
                2 => subject.set_team(teams[self.sealed.below(3)]),
                3 => {
                    let player = Self::player(&mut self.sealed, true);
                    let hidden = self.sealed.chance(0.4);
                    subject.set_hidden_from(player, hidden);
                }
                4 => {
                    let rules = [None, Some(ComponentRule::Nobody), Some(ComponentRule::Owner)];
                    subject.override_component::<Vault>(rules[self.sealed.below(3)]);
                }
                _ => {
                    let rules = [None, Some(ComponentRule::Party), Some(ComponentRule::Role(Role::Gm))];
                    subject.override_component::<File>(rules[self.sealed.below(3)]);
                }
            },
        }
    }

    /// Hides an entity from Alice, in one of five ways, or shows it.
    fn hide_from_alice(&mut self, subject: &mut Subject) {
        let hidden = self.open.chance(0.35);
        let way = if hidden { 1 + self.sealed.below(5) } else { 0 };
        subject.set_owner_only(way == 1);
        subject.set_party_only(way == 2);
        subject.set_team_only(way == 3);
        subject.set_visible_to_role((way == 4).then_some(Role::Gm));
        subject.set_hidden_from(alice(), way == 5);
    }

    fn change_shared_subject(&mut self, subject: &mut Subject) {
        let open = &mut self.open;
        let parties = [None, Some(PartyId(1)), Some(PartyId(2))];
        let teams = [None, Some(TeamId(1)), Some(TeamId(2))];
        match open.below(12) {
            0 | 1 => {
                let owner = Self::player(open, false);
                subject.set_owner(open.chance(0.7).then_some(owner));
            }
            2 => subject.set_party(parties[open.below(3)]),
            3 => subject.set_team(teams[open.below(3)]),
            4 => subject.set_tag(MARKED, open.chance(0.5)),
            5 => subject.set_owner_only(open.chance(0.2)),
            6 => subject.set_party_only(open.chance(0.25)),
            7 => subject.set_team_only(open.chance(0.25)),
            8 => {
                let player = Self::player(open, false);
                subject.set_hidden_from(player, open.chance(0.4));
            }
            9 => subject.set_visible_to_role(open.chance(0.2).then_some(Role::Gm)),
            _ => {
                let rules = [
                    ComponentRule::Everyone,
                    ComponentRule::Owner,
                    ComponentRule::Party,
                    ComponentRule::Team,
                    ComponentRule::Role(Role::Gm),
                    ComponentRule::Nobody,
                ];
                let rule = rules[open.below(rules.len())];
                let which = open.below(9);
                let rule = open.chance(0.5).then_some(rule);
                match which {
                    0 => subject.override_component::<Vault>(rule),
                    1 => subject.override_component::<Orders>(rule),
                    2 => subject.override_component::<File>(rule),
                    3 => subject.override_component::<Body>(rule),
                    4 | 5 => subject.override_component::<Load>(rule),
                    6 => subject.override_component::<Plot>(rule),
                    7 => subject.override_component::<Camp>(rule),
                    _ => subject.override_component::<Fate>(rule),
                }
            }
        }
    }
}

/// What [`Body::kind`] says of players.
const AVATAR: u8 = 9;
const CAMP_FIELDS: usize = 13;
const BODY_FIELDS: usize = 6;

pub fn alice() -> PlayerId {
    PlayerId::new("alice").expect("a name")
}

/// Changes one thing about a player.
pub fn change_context(plan: &Plan, context: &mut ViewerContext, tick: TickNumber) {
    let name = context.player().clone();
    let is_alice = name.as_str() == "alice";
    let seed = if is_alice { plan.seed } else { plan.secret.unwrap_or(plan.seed) };
    let mut chance = Random::named(seed ^ tick.0 << 20, name.as_str());
    if !chance.chance(0.12) {
        return;
    }
    // Of two worlds that differ in secrets Alice is an ordinary player, and in nobody else's party.
    let (first, choices) = match (plan.secret.is_some(), is_alice) {
        (false, _) => (1, 2),
        (true, true) => (1, 1),
        (true, false) => (2, 2),
    };
    let group = chance.chance(0.7).then(|| first + chance.below(choices) as u64);
    let plain = plan.secret.is_some() && is_alice;
    match chance.below(6) {
        0 => context.set_party(group.map(PartyId)),
        1 => context.set_team(group.map(|group| TeamId(group as u32))),
        2 if plain => {}
        2 => context.set_role([Role::Player, Role::Player, Role::Gm, Role::Admin][chance.below(4)]),
        3 => context.set_permissions(Permissions(chance.below(if plain { 2 } else { 4 }) as u64)),
        4 => {
            let facts = [None, Some(0), Some(5)];
            context.set_fact(NEED_FACT, facts[chance.below(if plain { 2 } else { 3 })]);
        }
        _ => context.set_fact(CLEARANCE, [None, Some(1)][chance.below(2)]),
    }
}

/// The cells' part of the game.
#[derive(Clone, Debug)]
pub struct Game(pub Plan);

impl Plugin for Game {
    fn build(&self, app: &mut App) {
        let frozen = self.0.frozen.clone();
        let runs = move || !frozen.load(Ordering::Relaxed);
        let (plan, again) = (self.0.clone(), self.0.clone());
        let live =
            move |context: Res<TickContext>,
                  requests: WorldRequests,
                  commands: Commands,
                  things: Query<Living>| live(&plan, &context, requests, commands, things);
        let carry = move |context: Res<TickContext>, commands: Commands, things: Query<Carrying>| {
            carry(&again, &context, commands, things);
        };
        app.replicate::<Vault>()
            .replicate::<Orders>()
            .replicate::<File>()
            .replicate::<Body>()
            .replicate::<Load>()
            .replicate::<Plot>()
            .replicate::<Banner>()
            .replicate::<Camp>()
            .replicate::<Fate>()
            .replicate::<Tree>()
            .add_systems(Simulate, (live, carry).chain().run_if(runs));
    }
}

type Living<'a> =
    (Entity, &'a NetId, &'a mut Position, &'a mut Body, Option<&'a mut Camp>, Option<&'a mut Subject>);

/// Everybody walks, changes, is given to others, is born and dies.
fn live(
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

type Carrying<'a> = (
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
fn carry(plan: &Plan, context: &TickContext, mut commands: Commands, mut things: Query<Carrying>) {
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

fn near_a_spot(chance: &mut Random, spots: usize) -> Vec3 {
    let spot = Vec2::from(SPOTS[chance.below(spots)]);
    let off = Vec2::new(chance.between(-1.0..1.0), chance.between(-1.0..1.0)) * SPOT_RADIUS_M;
    (spot + off).extend(chance.between(0.0..4.0))
}

/// The world in which they live.
pub fn settings(seed: u64) -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(EDGE_M) };
    WorldSettings {
        area,
        seed,
        secret: SECRET,
        bucket_m: 8.0,
        check_invariants: true,
        audit_every: Some(1),
        ..WorldSettings::default()
    }
    .with_distances(24.0, 27.0, 60.0, 2.0)
}

/// The layouts on which everything must be the same.
pub fn layouts(seed: u64) -> Vec<(&'static str, WorldSettings)> {
    let cell = |depth, cx, cy| CellId { world: 0, depth, cx, cy };
    // Cells of three sizes, sharing corners and T-junctions.
    let mut cells = vec![cell(0, 1, 0), cell(0, 0, 1)];
    cells.extend([(0, 0), (1, 0), (0, 1)].map(|(cx, cy)| cell(1, cx, cy)));
    cells.extend([(2, 2), (3, 2), (2, 3), (3, 3)].map(|(cx, cy)| cell(2, cx, cy)));
    cells.extend([(2, 2), (3, 2), (2, 3), (3, 3)].map(|(cx, cy)| cell(1, cx, cy)));
    vec![
        ("1 x 1", WorldSettings { grid: [1, 1], ..settings(seed) }),
        ("2 x 2", WorldSettings { grid: [2, 2], ..settings(seed) }),
        ("5 x 5 on two threads", WorldSettings { grid: [5, 5], threads: 2, ..settings(seed) }),
        ("mixed", WorldSettings { grid: [2, 2], cells: Some(cells), ..settings(seed) }),
    ]
}

/// The game in a new world.
pub fn game(plan: &Plan) -> ServerBuilder {
    let (of_avatars, of_populace) = (plan.clone(), plan.clone());
    ServerBuilder::default()
        .add_cell_plugins(Game(plan.clone()))
        .avatars(move |request| {
            let name = request.player.as_str();
            let mut dice = of_avatars.dice(spawner_of(name), TickNumber(0), 3);
            let body = Body { kind: AVATAR, ..dice.opened(Dice::body) };
            let bundle = (body, Subject::owned_by(request.player.clone()));
            let place = near_a_spot(&mut dice.open, of_avatars.spots());
            SpawnRequest { class: 0, ..SpawnRequest::new(spawner_of(name), place, bundle) }
        })
        .populate(move |world| {
            for number in 1..=of_populace.population {
                let mut dice = of_populace.dice(name_of(number), TickNumber(0), 7);
                let place = near_a_spot(&mut dice.open, of_populace.spots());
                let (body, camp) = (dice.body(), dice.camp());
                let mut subject = Subject::default();
                for _ in 0..6 {
                    dice.change_subject(&mut subject);
                }
                let born = match (dice.phantom, number % 3) {
                    (true, _) => world.spawn(SpawnRequest::new(NetId::WORLD, place, (body, camp, subject))),
                    (_, 0) => world.spawn(SpawnRequest::new(NetId::WORLD, place, (body, subject))),
                    (_, 1) => world.spawn(SpawnRequest::new(NetId::WORLD, place, (body, camp, subject))),
                    _ => world.spawn(SpawnRequest::new(NetId::WORLD, place, body)),
                };
                assert_eq!(born, name_of(number), "names can be foretold");
            }
        })
}
