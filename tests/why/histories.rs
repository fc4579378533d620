//! After whatever has happened, the answer agrees with what the client holds.

use terrane::ids::{PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::policy::ComponentRule;
use terrane::replication::why::{Finding, Told, Why};
use terrane::testing::{ClientId, TestWorld};

use crate::game::*;

/// Chance for histories: everything follows from the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

const PLAYERS: [&str; 3] = ["alice", "bob", "carol"];

fn something_happens(world: &mut TestWorld, wagons: &[NetId], dice: &mut Dice) {
    let wagon = wagons[dice.below(wagons.len() as u64) as usize];
    let name = PLAYERS[dice.below(3) as usize];
    let (yes, number) = (dice.one_in(2), dice.below(3));
    let party = (number > 0).then_some(PartyId(number));
    let team = (number > 0).then_some(TeamId(number as u32));
    match dice.below(14) {
        0 => mark(world, wagon, |subject| subject.set_owner(yes.then(|| player(name)))),
        1 => mark(world, wagon, |subject| subject.set_party(party)),
        2 => mark(world, wagon, |subject| subject.set_team(team)),
        3 => mark(world, wagon, |subject| subject.set_owner_only(yes && number == 0)),
        4 => mark(world, wagon, |subject| subject.set_party_only(yes && number == 0)),
        5 => mark(world, wagon, |subject| subject.set_team_only(yes && number == 0)),
        6 => mark(world, wagon, |subject| subject.set_hidden_from(player(name), yes)),
        7 => mark(world, wagon, |subject| {
            subject.set_visible_to_role((yes && number == 0).then_some(Role::Gm))
        }),
        8 => {
            let rules = [None, Some(ComponentRule::Owner), Some(ComponentRule::Everyone)];
            let rule = rules[number as usize];
            let which = dice.below(3);
            mark(world, wagon, |subject| match which {
                0 => subject.override_component::<Flag>(rule),
                1 => subject.override_component::<Orders>(rule),
                _ => subject.override_component::<Wagon>(rule),
            });
        }
        9 => context(world, name, |context| context.set_party(party)),
        10 => context(world, name, |context| context.set_team(team)),
        11 => context(world, name, |context| context.set_role(if yes { Role::Gm } else { Role::Player })),
        12 => context(world, name, |context| context.set_fact(SCOUT, yes.then_some(1))),
        _ => change::<Wagon>(world, wagon, |wagon| {
            wagon.offer = format!("{name} for {number}");
            wagon.crew = vec![Member { name: "Ann".into(), wage: 1 }; number as usize];
            wagon.note = "x".repeat(if yes { 30 } else { 3 });
            wagon.bids.insert(player(name), number as u32);
        }),
    }
    let step = Vec3::new(dice.below(9) as f32 / 10.0 - 0.4, 0.0, 0.0);
    change::<Position>(world, wagon, |position| position.0 += step / 2.0);
}

/// On a perfect network with room for everything: whatever `why` says, the client holds just that.
#[test]
fn why_says_what_the_client_holds() {
    let mut compared = 0;
    for seed in 0..12 {
        let grid = if seed % 2 == 0 { [1, 1] } else { [5, 5] };
        let mut world = TestWorld::new(game(14, 7.0), WorldSettings { grid, ..WorldSettings::default() });
        let clients: Vec<ClientId> = PLAYERS.iter().map(|name| world.connect(name)).collect();
        world.run(10);
        let wagons: Vec<NetId> =
            (1..=14).map(|number| called(&mut world, &format!("wagon {number}"))).collect();
        let schema = world.server().game().schema.clone();
        let dice = &mut Dice(seed);
        for _ in 0..40 {
            for _ in 0..3 {
                something_happens(&mut world, &wagons, dice);
            }
            world.tick();
            for _ in 0..25 {
                let which = dice.below(3) as usize;
                let all = names(&world);
                let entity = all[dice.below(all.len() as u64) as usize];
                let whole = why(&mut world, PLAYERS[which], entity, None);
                let held = world[clients[which]].view().get(entity).cloned();
                assert_eq!(whole.result.sees, held.is_some(), "seed {seed}:\n{whole}");
                assert_eq!(whole.result.sees, whole.result.hidden_by.is_empty(), "seed {seed}:\n{whole}");
                let is_told = matches!(whole.result.told, Told::InFlight | Told::Acknowledged);
                assert_eq!(is_told, held.is_some(), "there is room for everything:\n{whole}");

                let component = dice.below(schema.components.len() as u64) as usize;
                let fields = schema.components[component].fields;
                if fields.is_empty() {
                    continue;
                }
                let spec = &fields[dice.below(fields.len() as u64) as usize];
                let field = format!("{}.{}", schema.components[component].name, spec.name);
                let answer = why(&mut world, PLAYERS[which], entity, Some(&field));
                let sent = schema.components[component].sent.iter().position(|sent| sent.name == spec.name);
                let holds = held.as_ref().is_some_and(|held| {
                    held.components() >> component & 1 == 1
                        && sent.is_some_and(|sent| !held.is_hidden(&schema, component, sent))
                });
                assert_eq!(answer.result.sees, holds, "seed {seed}:\n{answer}");
                assert_eq!(holds, answer.result.hidden_by.is_empty(), "seed {seed}:\n{answer}");
                if holds && schema.components[component].name == "Wagon" {
                    let told = hidden_within(&answer);
                    let held = held.expect("it holds the field");
                    let expected = paths_hidden(&schema, &held, component, sent.expect("it is sent"));
                    assert_eq!(told, expected, "seed {seed}:\n{answer}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 8_000, "only {compared} comparisons");
}

fn hidden_within(answer: &Why) -> Vec<String> {
    let nested = answer.decisions.iter().find_map(|decision| match &decision.finding {
        Finding::Nested { hidden, .. } => Some(hidden.clone()),
        _ => None,
    });
    nested.unwrap_or_default()
}

fn paths_hidden(
    schema: &terrane::replication::Schema,
    held: &terrane::client::mirror::MirrorEntity,
    component: usize,
    sent: usize,
) -> Vec<String> {
    let bits = terrane::replication::mask::FIELD_FIRST..;
    let (bit, _) = bits
        .zip(schema.fields_of(held.components()))
        .find(|(_, (of, field, _))| (*of, *field) == (component, sent))
        .expect("the client holds it");
    <Wagon as terrane::replication::SyncFields>::hidden_paths(sent, held.encoded().field(bit))
        .expect("sound bytes")
}
