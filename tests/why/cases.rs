//! Each level hides alone, and is then the one that is named.

use terrane::ids::TeamId;
use terrane::prelude::*;
use terrane::replication::policy::ComponentRule;
use terrane::replication::why::{Conclusion, Level, Told};
use terrane::testing::TestWorld;

use crate::game::*;

/// What hides alone, and is then the one that is named.
struct Case {
    what: &'static str,
    field: Option<&'static str>,
    hide: fn(&mut TestWorld, NetId),
    level: Level,
    says: &'static str,
}

const CASES: &[Case] = &[
    Case {
        what: "distance",
        field: None,
        hide: |world, wagon| change::<Wagon>(world, wagon, |wagon| wagon.seed = 1),
        level: Level::Distance,
        says: "90.00 m apart; in view below 50 m, out of it from 55 m; it is not held",
    },
    Case {
        what: "owner_only",
        field: None,
        hide: |world, wagon| mark(world, wagon, |subject| subject.set_owner_only(true)),
        level: Level::Marker,
        says: "owner_only: the player is not its owner, nobody",
    },
    Case {
        what: "party_only",
        field: None,
        hide: |world, wagon| {
            mark(world, wagon, |subject| {
                subject.set_party(Some(PartyId(3)));
                subject.set_party_only(true);
            });
        },
        level: Level::Marker,
        says: "party_only: the player is not in its party, party 3",
    },
    Case {
        what: "team_only",
        field: None,
        hide: |world, wagon| {
            mark(world, wagon, |subject| {
                subject.set_team(Some(TeamId(4)));
                subject.set_team_only(true);
            });
        },
        level: Level::Marker,
        says: "team_only: the player is not in its team, team 4",
    },
    Case {
        what: "hidden_from",
        field: None,
        hide: |world, wagon| mark(world, wagon, |subject| subject.set_hidden_from(player("alice"), true)),
        level: Level::Marker,
        says: "hidden_from: the player",
    },
    Case {
        what: "visible_to_role",
        field: None,
        hide: |world, wagon| mark(world, wagon, |subject| subject.set_visible_to_role(Some(Role::Gm))),
        level: Level::Marker,
        says: "visible_to_role: Gm is needed, and the player has less",
    },
    Case {
        what: "too many bytes",
        field: Some("Heavy.two"),
        hide: |world, wagon| {
            with_entity(world, wagon, |entity| {
                entity.insert(Heavy { one: vec![1; 2_900], two: vec![2; 2_900] });
            });
        },
        level: Level::Field,
        says: "Heavy.two (broadcast): left out, 2903 of at most 3000 bytes: what this player may see of the entity is more than a record takes",
    },
    Case {
        what: "component policy",
        field: Some("Orders.text"),
        hide: |_, _| {},
        level: Level::Component,
        says: "Orders: hidden by its policy, role = Gm (went by: viewer's role)",
    },
    Case {
        what: "component override",
        field: Some("Flag.colour"),
        hide: |world, wagon| {
            mark(world, wagon, |subject| subject.override_component::<Flag>(Some(ComponentRule::Party)));
        },
        level: Level::Component,
        says: "Flag: hidden by this entity's override, party (went by: viewer's party, subject's party)",
    },
    Case {
        what: "no such component on it",
        field: Some("Heavy.one"),
        hide: |_, _| {},
        level: Level::Component,
        says: "Heavy: the entity does not have it",
    },
    Case {
        what: "a component kept on the server",
        field: Some("Notebook.0"),
        hide: |_, _| {},
        level: Level::Component,
        says: "Notebook: hidden by its policy, server_only",
    },
    Case {
        what: "custom",
        field: Some("Wagon.cargo"),
        hide: |_, _| {},
        level: Level::Field,
        says: "Wagon.cargo (custom): hidden from this player (went by: subject's owner)",
    },
    Case {
        what: "custom by facts",
        field: Some("Wagon.route"),
        hide: |_, _| {},
        level: Level::Field,
        says: "(went by: viewer's party, viewer's facts, subject's party)",
    },
    Case {
        what: "per_player",
        field: Some("Wagon.offer"),
        hide: |_, _| {},
        level: Level::Field,
        says: "Wagon.offer (per_player): hidden from this player",
    },
    Case {
        what: "server_only",
        field: Some("Wagon.seed"),
        hide: |_, _| {},
        level: Level::Field,
        says: "Wagon.seed (server_only): never sent to anybody",
    },
    Case {
        what: "a public field too long",
        field: Some("Wagon.note"),
        hide: |world, wagon| change::<Wagon>(world, wagon, |wagon| wagon.note = "x".repeat(30)),
        level: Level::Field,
        says: "Wagon.note (broadcast): longer than its 20 bytes, so not sent",
    },
    Case {
        what: "a personal field too long",
        field: Some("Wagon.diary"),
        hide: |world, wagon| change::<Wagon>(world, wagon, |wagon| wagon.diary = "x".repeat(30)),
        level: Level::Field,
        says: "Wagon.diary (custom): longer than its 20 bytes, so not sent",
    },
];

/// Point by point: one level hides, and it alone is named; before, nothing hid.
#[test]
fn the_level_that_hides_alone_is_the_one_that_is_named() {
    for case in CASES {
        let far = case.level == Level::Distance;
        let apart = if far { 90.0 } else { 10.0 };
        let mut world = TestWorld::new(game(1, apart), WorldSettings::default());
        let alice = world.connect("alice");
        world.run(8);
        let wagon = called(&mut world, "wagon 1");
        if !far && case.field.is_none() {
            let before = why(&mut world, "alice", wagon, None);
            assert!(before.result.sees && before.result.hidden_by.is_empty(), "{}: {before}", case.what);
        }
        (case.hide)(&mut world, wagon);
        world.run(3);
        let answer = why(&mut world, "alice", wagon, case.field);
        assert_eq!(answer.result.hidden_by, [case.level], "{}:\n{answer}", case.what);
        assert!(!answer.result.sees, "{}", case.what);
        assert!(answer.to_string().contains(case.says), "{}: {:?} is not in\n{answer}", case.what, case.says);
        assert_eq!(
            world[alice].view().get(wagon).is_some(),
            case.field.is_some(),
            "{}: the client holds what the answer says",
            case.what
        );
    }
}

/// A component that stays on the server stays there whatever an entity's subject says, even that it exists.
#[test]
fn no_override_shows_what_is_server_only() {
    let (mut world, alice, wagon) = alice_and_a_wagon();
    mark(&mut world, wagon, |subject| subject.override_component::<Plot>(Some(ComponentRule::Everyone)));
    world.run(3);
    let plot = world.server().game().schema.component("Plot").expect("it is registered");
    let held = world[alice].view().get(wagon).expect("alice sees the wagon");
    assert_eq!(held.components() >> plot & 1, 0, "not even that there is one");
    let answer = why(&mut world, "alice", wagon, Some("Plot.text"));
    assert_eq!(
        answer.result,
        Conclusion { sees: false, told: Told::Never, hidden_by: vec![Level::Component, Level::Field] }
    );
}
