//! What a store is asked for at once, one of each kind.

use terrane::ids::{PlayerId, TickNumber};
use terrane::players::{
    AuditRow, PlayerRequest, Profile, ProfileSave, Sanction, SanctionChange, SanctionKind,
};
use terrane::protocol::codec;
use terrane::reward::{Lot, Mutation, MutationPlan, PlannedLine};
use terrane::store::{OutboxWork, PlayerWork};

use crate::save::{
    BASE, NOW_MS, Step, account, commits, grant, hopeless, house, image, moves, moves_lot, plan,
};

/// Takes so much from the shop; below 128, so that its first byte says it.
pub(crate) fn takes(amount: u32) -> Mutation {
    Mutation::Game { kind: "take_stock".into(), data: codec::encode(&amount) }
}

pub(crate) fn mail(bytes: &[u8]) -> Mutation {
    Mutation::Outbox { kind: "mail".into(), payload: bytes.to_owned() }
}

pub(crate) fn single(instance: u64) -> Lot {
    Lot { expires_ms: 0, instance }
}

/// What is kept of a player who leaves, with a record of it, a sanction, and what it got last: one transaction.
pub(crate) fn farewell(number: u64, plans: Vec<MutationPlan>) -> Step {
    let player = PlayerId::new(&format!("guest{number}")).expect("it is a name");
    let profile =
        Profile { version: 0, first_seen_ms: 5, last_seen_ms: NOW_MS, avatar: Some(vec![number as u8; 300]) };
    let save = ProfileSave { player: player.clone(), profile, is_of_image: false, rows: 0 };
    let sanction = Sanction {
        player: player.clone(),
        kind: SanctionKind::Mute,
        why: "loud".into(),
        since_ms: NOW_MS,
        until_ms: None,
        by: "operator".into(),
    };
    let record = AuditRow {
        tick: TickNumber(number),
        now_ms: NOW_MS,
        who: "operator".into(),
        what: "mute".into(),
        target: player.to_string(),
        detail: String::new(),
    };
    let mut works = vec![
        PlayerWork::Request(PlayerRequest::Save(save)),
        PlayerWork::Request(PlayerRequest::Sanction(SanctionChange::Set(sanction))),
        PlayerWork::Audit(record),
        PlayerWork::Mark(number),
    ];
    works.extend(commits(plans).works().iter().cloned());
    Step::Players(works)
}

/// One turn of the dispatcher: one is delivered and one is not.
pub(crate) fn delivers() -> Step {
    let ids: Vec<u64> = BASE.deliveries.keys().copied().collect();
    let failed = vec![(ids[1], "nobody at home".to_owned())];
    Step::Outbox(OutboxWork { now_ms: NOW_MS, done: vec![ids[0]], failed, wanted: 5 })
}

/// Every kind of plan there is, by name.
pub(crate) fn kinds_of_plans() -> Vec<(&'static str, Vec<Step>)> {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(account);
    let (market, loot) = (house("market"), house("loot"));
    let line = |asset: &'static str| PlannedLine {
        account: alice.clone(),
        asset: asset.into(),
        lot: Lot::PLAIN,
        amount: 3,
        out_of: vec!["chest".into(), "casket".into()],
    };
    let boxes = MutationPlan {
        lines: vec![line("coin"), line("wine")],
        ..plan(
            3,
            &["alice"],
            vec![
                moves("coin", &loot, &alice, 3),
                moves("wine", &loot, &alice, 3),
                moves_lot("wine", Lot { expires_ms: NOW_MS + 9, instance: 0 }, &loot, &alice, 4, None),
                moves_lot("sword", single(50), &loot, &alice, 1, None),
            ],
        )
    };
    vec![
        (
            "a grant of coins and what a game sends",
            vec![commits([
                plan(1, &["alice"], vec![moves("coin", &market, &alice, 30), mail(b"paid")]),
                hopeless(2, "alice", vec![moves("coin", &market, &alice, 1), mail(b"never sent")]),
            ])],
        ),
        ("boxes in boxes", vec![commits([boxes])]),
        (
            "a pool that filled up and is spent",
            vec![commits([plan(
                4,
                &["bob"],
                vec![
                    Mutation::PoolClock { account: bob.clone(), asset: "stamina".into(), as_of_ms: NOW_MS },
                    moves("stamina", &house("regeneration"), &bob, 12),
                    moves("stamina", &bob, &market, 20),
                ],
            )])],
        ),
        (
            "an unlock that costs",
            vec![commits([plan(
                5,
                &["bob"],
                vec![
                    moves("coin", &bob, &market, 100),
                    moves_lot("map", Lot::PLAIN, &house("atlas"), &bob, 1, Some(1)),
                ],
            )])],
        ),
        (
            "consuming single items and stacks",
            vec![commits([
                hopeless(6, "alice", vec![moves_lot("sword", single(1), &alice, &market, 1, None)]),
                plan(
                    7,
                    &["alice"],
                    vec![
                        moves_lot("sword", single(1), &alice, &market, 1, None),
                        moves("wine", &alice, &market, 7),
                        Mutation::Slots { account: alice.clone(), most: 1 << 30 },
                    ],
                ),
            ])],
        ),
        (
            "a trade of two players, and one with who never had anything",
            vec![commits([
                plan(
                    8,
                    &["alice", "bob"],
                    vec![
                        moves("coin", &alice, &bob, 5),
                        moves_lot("sword", single(2), &bob, &alice, 1, None),
                    ],
                ),
                plan(9, &["carol", "erin"], vec![moves("wine", &carol, &account("erin"), 2)]),
            ])],
        ),
        (
            "houses among themselves",
            vec![commits([plan(
                10,
                &["carol"],
                vec![moves("coin", &house("bank"), &market, 900), moves("wine", &house("cellar"), &loot, 2)],
            )])],
        ),
        (
            "a game's own kind with a price",
            vec![
                commits([plan(
                    11,
                    &["carol"],
                    vec![moves("coin", &carol, &market, 9), takes(3), mail(b"silk")],
                )]),
                commits([plan(12, &["carol"], vec![moves("coin", &carol, &market, 8), takes(2)])]),
            ],
        ),
    ]
}

/// Everything else that is written at once.
pub(crate) fn kinds_of_writes() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("a profile, a sanction, a record and a plan", vec![farewell(1, vec![grant(20, "dave")])]),
        ("profiles one after the other", vec![farewell(2, vec![]), farewell(3, vec![grant(21, "bob")])]),
        (
            "images and counters",
            vec![Step::Image(image(2)), Step::Reserve(40), Step::Image(image(3)), Step::Reserve(60)],
        ),
        ("the outbox", vec![commits([plan(22, &["dave"], vec![mail(b"more")])]), delivers()]),
        ("forgetting", vec![Step::Tidy, commits([grant(23, "alice")]), Step::Tidy, Step::Tidy]),
    ]
}
