//! What is too deep and what is too large.

use terrane::ids::TeamId;
use terrane::replication::policy::Subject;
use terrane::replication::wire::ROW_BYTES_MAX;
use terrane::session::Sessions;

use super::{edit, plain, tell, with_one};
use crate::game::{alice, name_of};
use crate::histories::assert_equal;
use crate::stage::Stage;
use crate::things::{Body, Camp, Chest, Item, PRIVATE, Tree, Wagon};

/// B7: of what nests too deeply the innermost is hidden, also where it depends on who looks: all of it once was.
#[test]
fn of_what_is_too_deep_the_rest_is_told() {
    let mut stage = with_one(plain);
    for levels in [3, 15, 16, 17, 30] {
        // Divisible by eight: for the owner.
        let tree = (1..levels).fold(Tree { fruit: 8, branches: Vec::new() }, |inner, level| {
            let questions = [8, 9, 10];
            Tree { fruit: questions[level % 3], branches: vec![inner] }
        });
        edit(&mut stage, name_of(1), |entity| {
            entity.insert((tree, Subject::owned_by(alice())));
        });
        tell(&mut stage, &format!("{levels} levels"));
    }
}

/// H2, B16: of personal fields that are together more than a record can carry whoever may see them is told what fits, and
/// the others do not notice.
#[test]
fn who_may_see_more_of_an_entity_than_a_record_can_carry_is_told_what_fits() {
    let mut stage = with_one(plain);
    // Whatever is divisible by eight is for the owner.
    let large = PRIVATE << 80;
    let wagon = Wagon { secret: large, ..Wagon::default() };
    let chest = |coins: usize| Chest { items: vec![Item::Coin(large, 0); coins], ..Chest::default() };
    let camp = Camp {
        name: "x".repeat(500),
        password: (large, vec![name_of(1); 55]),
        wagons: vec![wagon.clone(); 38],
        reserve: vec![wagon; 38],
        bids: [(alice(), chest(42))].into(),
        leader: Some(Box::new(Wagon { chests: vec![chest(42)], ..Wagon::default() })),
        ..Camp::default()
    };
    let branches = vec![Tree { fruit: large, branches: Vec::new() }; 24];
    edit(&mut stage, name_of(1), |entity| {
        let mut subject = Subject::owned_by(alice());
        subject.set_team(Some(TeamId(1)));
        entity.insert((camp, Tree { fruit: 0, branches }, subject));
        entity.get_mut::<Body>().expect("a body").sightings = vec![(name_of(1), 5); 40];
    });
    for session in stage.server.node_mut().resource_mut::<Sessions>().iter_mut() {
        session.context.set_team(Some(TeamId(1)));
    }
    for _ in 0..10 {
        stage.tick();
    }
    let one = name_of(1);
    let fits = |stage: &Stage| {
        let number = stage.clients.iter().position(|client| client.name == alice()).expect("she is here");
        let (held, expected) = (stage.held(number).remove(&one), &stage.expected(&alice())[&one]);
        let held = held.expect("she is told all that is told");
        let row = stage.clients[number].mirror.get(one).expect("it is seen").encoded();
        assert!(row.bytes.len() <= ROW_BYTES_MAX, "{}", row.bytes.len());
        let (mut left_out, mut told) = (0, 0);
        for (component, truth) in &expected.components {
            for field in 0..truth.names.len() {
                let held = held.components[component].field(field);
                if held != truth.field(field) {
                    assert_eq!(held.1, [truth.names[field]], "what is not as it is is absent");
                    left_out += 1;
                } else {
                    told += truth.field(field).0.len();
                }
            }
        }
        (left_out, told)
    };
    let (left_out, told) = fits(&stage);
    assert!(left_out > 0 && told > ROW_BYTES_MAX / 2, "{left_out} fields left out, {told} bytes told");
    let number = stage.clients.iter().position(|client| client.name != alice()).expect("somebody else");
    let other = stage.clients[number].name.clone();
    assert_equal(&stage, &stage.held(number), stage.expected(&other), "the others are told all of theirs");

    // A field that fitted grows, one that did not shrinks: what fits follows from what is, not from what was.
    edit(&mut stage, one, |entity| {
        let mut camp = entity.get_mut::<Camp>().expect("a camp");
        camp.reserve.clear();
        camp.name = "short".into();
    });
    for _ in 0..5 {
        stage.tick();
    }
    let (fewer, _) = fits(&stage);
    assert!(fewer < left_out, "{fewer} fields left out, {left_out} before");
    edit(&mut stage, one, |entity| {
        entity.remove::<Camp>();
    });
    for _ in 0..5 {
        stage.tick();
    }
    tell(&mut stage, "there is room for everything");
}
