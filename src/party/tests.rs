use std::collections::BTreeMap;

use glam::Vec2;
use proptest::prelude::*;

use super::*;
use crate::ids::CellId;
use crate::space::Area;

fn player(number: usize) -> PlayerId {
    PlayerId::new(&format!("p{number}")).expect("a name")
}

fn at(tick: u64) -> TickContext {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
    TickContext {
        tick: TickNumber(tick),
        dt: 0.05,
        now_ms: 0,
        hz: 20,
        seed: 0,
        world_area: area,
        cell: CellId { world: 0, depth: 0, cx: 0, cy: 0 },
        area,
    }
}

#[test]
fn an_invitation_founds_a_party_and_is_taken_once_and_in_time() {
    let mut parties = Parties::default();
    let [a, b, c] = [0, 1, 2].map(player);
    assert_eq!(parties.accept(&b, PartyId(FOUNDED_FROM), TickNumber(1)), Err(PartyRefusal::NotInvited));
    assert_eq!(parties.invite(&a, &a, &at(1)), Err(PartyRefusal::Yourself));
    let party = parties.invite(&a, &b, &at(1)).expect("b is free");
    assert_eq!(parties.of(&b), None, "an invitation is no membership");
    let late = TickNumber(1 + at(1).ticks(INVITATION_S));
    assert_eq!(parties.accept(&b, party, late), Err(PartyRefusal::NotInvited));
    assert_eq!(parties.accept(&c, party, TickNumber(2)), Err(PartyRefusal::NotInvited), "c was not asked");
    assert_eq!(parties.accept(&b, party, TickNumber(2)), Ok(()));
    assert_eq!(parties.get(party).map(|party| party.members.clone()), Some(vec![a.clone(), b.clone()]));
    assert_eq!(parties.invite(&b, &a, &at(3)), Err(PartyRefusal::AlreadyIn(a.clone())));
    assert_eq!(parties.dismiss(&b, &a), Err(PartyRefusal::NotLeader));
    assert_eq!(parties.let_lead(&a, &b), Ok(()));
    assert_eq!(parties.dismiss(&b, &a), Ok(()));
    assert_eq!((parties.of(&a), parties.of(&b)), (None, None), "nobody is left alone in a founded party");
    assert_eq!(parties.get(party), None);
    assert_eq!(parties.accept(&b, party, TickNumber(4)), Err(PartyRefusal::NotInvited), "it was taken once");
}

#[test]
fn a_party_is_full_at_some_point_and_who_leaves_makes_room() {
    let mut parties = Parties::default();
    for number in 0..PARTY_MEMBERS_MAX {
        parties.enter(&player(number), PartyId(5)).expect("there is room");
    }
    let late = player(PARTY_MEMBERS_MAX);
    assert_eq!(parties.enter(&late, PartyId(5)), Err(PartyRefusal::Full));
    assert_eq!(parties.invite(&player(0), &late, &at(1)), Err(PartyRefusal::Full));
    parties.leave(&player(0)).expect("it is in");
    assert_eq!(parties.get(PartyId(5)).map(|party| &party.leader), Some(&player(1)));
    assert_eq!(parties.enter(&late, PartyId(5)), Ok(()));
    assert_eq!(parties.enter(&late, PartyId(0)), Err(PartyRefusal::NotOpen));
    assert_eq!(parties.enter(&late, PartyId(FOUNDED_FROM)), Err(PartyRefusal::NotOpen));
}

#[test]
fn invitations_are_bounded() {
    let mut parties = Parties::default();
    let guest = player(0);
    for number in 1..=INVITATIONS_MAX {
        parties.invite(&player(number), &guest, &at(1)).expect("there is room");
    }
    let one_more = player(INVITATIONS_MAX + 1);
    assert_eq!(
        parties.invite(&one_more, &guest, &at(1)),
        Err(PartyRefusal::TooManyInvitations(guest.clone()))
    );
    assert_eq!(parties.of(&one_more), None, "a refused invitation founds no party");
    assert!(parties.invite(&player(1), &guest, &at(2)).is_ok(), "asking again is no further one");
    let later = 2 + at(1).ticks(INVITATION_S);
    assert!(parties.invite(&one_more, &guest, &at(later)).is_ok(), "old ones make room");
}

/// The parties of a long-lived world do not grow with all who were ever in it; who comes back in time is still a member, also
/// over restarts.
#[test]
fn who_stays_away_for_too_long_is_in_no_party_any_more() {
    let away_ticks = PARTY_AWAY_S_MAX * 20;
    let mut parties = Parties::default();
    let [a, b, c, d] = [0, 1, 2, 3].map(player);
    for member in [&a, &b, &c] {
        parties.enter(member, PartyId(5)).expect("there is room");
    }
    let founded = parties.invite(&d, &a, &at(1)).expect("d founds one");
    for (member, is_here) in [(&a, true), (&b, false), (&c, false), (&d, false)] {
        parties.note_presence(member, is_here, TickNumber(10));
    }
    // Being noted again does not begin the time anew, nor does a restart; having been here does.
    let mut parties = Parties::load(&parties.save()).expect("as saved");
    assert_eq!(parties.take_changed([]), [a.clone(), b.clone(), c.clone(), d.clone()]);
    parties.note_presence(&b, false, TickNumber(20));
    parties.note_presence(&c, true, TickNumber(20));
    parties.note_presence(&c, false, TickNumber(21));
    parties.forget_old(&at(10 + away_ticks));
    assert_eq!(parties.get(PartyId(5)).map(|party| party.members.len()), Some(3));
    parties.forget_old(&at(11 + away_ticks));
    assert_eq!(parties.get(PartyId(5)).map(|party| &party.members), Some(&vec![a.clone(), c.clone()]));
    assert_eq!(parties.get(founded), None, "nobody was left in it");
    assert_eq!(parties.take_changed([]), [b, d], "sessions and avatars are told");
    parties.forget_old(&at(22 + away_ticks));
    assert_eq!((parties.of(&a), parties.of(&c)), (Some(PartyId(5)), None));
    assert!(parties.away.is_empty() && parties.away_longest.is_empty());
}

#[test]
fn what_an_older_program_saved_of_parties_can_be_read() {
    let mut parties = Parties::default();
    parties.enter(&player(0), PartyId(5)).expect("there is room");
    let whole = parties.save();
    let loaded = Parties::load(&whole[..whole.len() - 1]).expect("without those who are away");
    assert_eq!(loaded.of(&player(0)), Some(PartyId(5)));
}

/// Invitations that nobody takes do not stay.
#[test]
fn invitations_are_forgotten_when_they_are_too_old() {
    let mut parties = Parties::default();
    let ticks = at(1).ticks(INVITATION_S);
    parties.invite(&player(1), &player(0), &at(1)).expect("there is room");
    let party = parties.invite(&player(1), &player(2), &at(ticks)).expect("there is room");
    parties.forget_old(&at(2 * ticks - 1));
    assert_eq!(parties.invitations.len(), 2);
    parties.forget_old(&at(2 * ticks));
    assert!(parties.invitations.is_empty() && parties.get(party).is_some());
}

/// Whatever happens, members and parties agree, and what is undone leaves no trace.
#[derive(Clone, Debug)]
enum Step {
    Invite(usize, usize),
    Accept(usize, usize),
    Enter(usize, u64),
    Leave(usize),
    Dismiss(usize, usize),
    Lead(usize, usize),
    Disband(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..6usize;
    prop_oneof![
        (who(), who()).prop_map(|(a, b)| Step::Invite(a, b)),
        (who(), 0..4usize).prop_map(|(a, b)| Step::Accept(a, b)),
        (who(), 1..3u64).prop_map(|(a, b)| Step::Enter(a, b)),
        who().prop_map(Step::Leave),
        (who(), who()).prop_map(|(a, b)| Step::Dismiss(a, b)),
        (who(), who()).prop_map(|(a, b)| Step::Lead(a, b)),
        who().prop_map(Step::Disband),
    ]
}

fn take(parties: &mut Parties, step: &Step, tick: u64) -> Result<(), PartyRefusal> {
    match *step {
        Step::Invite(a, b) => parties.invite(&player(a), &player(b), &at(tick)).map(drop),
        Step::Accept(a, party) => {
            parties.accept(&player(a), PartyId(FOUNDED_FROM + party as u64), TickNumber(tick))
        }
        Step::Enter(a, party) => parties.enter(&player(a), PartyId(party)),
        Step::Leave(a) => parties.leave(&player(a)),
        Step::Dismiss(a, b) => parties.dismiss(&player(a), &player(b)),
        Step::Lead(a, b) => parties.let_lead(&player(a), &player(b)),
        Step::Disband(a) => parties.disband(&player(a)),
    }
}

/// Everything but the notes about what has changed.
type State = (
    BTreeMap<PartyId, Party>,
    BTreeMap<PlayerId, PartyId>,
    BTreeMap<PlayerId, BTreeMap<PartyId, TickNumber>>,
    u64,
);

fn state(parties: &Parties) -> State {
    let Parties { by_id, of_player, invitations, founded, .. } = parties.clone();
    (by_id, of_player, invitations, founded)
}

proptest! {
    #[test]
    fn members_and_parties_agree_whatever_happens(steps in proptest::collection::vec((step(), any::<bool>()), 1..120)) {
        let mut parties = Parties::default();
        for (tick, (step, is_undone)) in (1u64..).zip(&steps) {
            let before = state(&parties);
            parties.begin();
            let result = take(&mut parties, step, tick);
            if *is_undone || result.is_err() {
                if result.is_err() {
                    prop_assert_eq!(&state(&parties), &before, "a refusal changes nothing: {:?}", step);
                }
                parties.undo();
                prop_assert_eq!(&state(&parties), &before, "undone: {:?}", step);
            }
            let (by_id, of_player, ..) = state(&parties);
            let listed: BTreeMap<PlayerId, PartyId> = by_id
                .iter()
                .flat_map(|(&id, party)| party.members.iter().map(move |member| (member.clone(), id)))
                .collect();
            prop_assert_eq!(&listed, &of_player);
            for (id, party) in &by_id {
                prop_assert!(party.members.contains(&party.leader));
                prop_assert!(!party.members.is_empty() && party.members.len() <= PARTY_MEMBERS_MAX);
                let count = by_id.values().map(|party| party.members.len()).sum::<usize>();
                prop_assert_eq!(count, of_player.len(), "in one party each: {:?}", id);
            }
        }
        let loaded = Parties::load(&parties.save()).expect("as saved");
        let (by_id, of_player, _, founded) = state(&parties);
        prop_assert_eq!(state(&loaded), (by_id, of_player, BTreeMap::new(), founded));
    }
}
