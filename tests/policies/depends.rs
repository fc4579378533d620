//! What a policy asked about is what its answer depends on.

use proptest::prelude::*;
use terrane::ids::{FactKey, NetId, PartyId, Role, Tag, TeamId};
use terrane::replication::SyncFields;
use terrane::replication::field::sent_fields;
use terrane::replication::policy::{Depends, Permissions, Subject, ViewerContext, Viewing};

use super::support::{Dice, looking, player, viewer};
use super::world::{Camp, camp, context, subject};

/// Every aspect and a way to change it in a viewer or a subject.
fn change(aspect: Depends, dice: &mut Dice, viewer: &mut ViewerContext, subject: &mut Subject) {
    let other = dice.below(3);
    match aspect {
        Depends::VIEWER_ROLE => viewer.set_role(dice.pick(&[Role::Player, Role::Gm, Role::Admin])),
        Depends::VIEWER_PARTY => viewer.set_party(Some(PartyId(other))),
        Depends::VIEWER_TEAM => viewer.set_team(Some(TeamId(other as u32))),
        Depends::VIEWER_PERMISSIONS => viewer.set_permissions(Permissions(dice.roll())),
        Depends::VIEWER_FACTS => viewer.set_fact(FactKey(other as u16), Some(dice.below(3) as i64 - 1)),
        Depends::SUBJECT_OWNER => {
            let owner = player(dice.pick(&["alice", "bob", "carol"]));
            subject.set_owner(Some(owner));
        }
        Depends::SUBJECT_PARTY => subject.set_party(Some(PartyId(other))),
        Depends::SUBJECT_TEAM => subject.set_team(Some(TeamId(other as u32))),
        Depends::SUBJECT_TAGS => {
            let has = !subject.has_tag(Tag(3));
            subject.set_tag(Tag(3), has);
        }
        _ => {}
    }
}

/// What one viewer is told of one field, and what that depended on.
fn told(camp: &Camp, field: usize, viewer: &ViewerContext, subject: &Subject) -> ((bool, Vec<u8>), Depends) {
    looking(viewer, subject, |viewing| {
        let mut bytes = Vec::new();
        let shown = camp.encode_personal(field, viewing, &mut bytes, &mut Vec::new());
        (shown.is_visible(), bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// B12: so a field is evaluated again exactly when it has to be.
    #[test]
    fn what_was_not_asked_about_may_change_without_changing_the_answer(seed in any::<u64>()) {
        let dice = &mut Dice(seed);
        let (camp, before, around) = (camp(dice), context(dice), subject(dice));
        for (field, spec) in sent_fields::<Camp>().enumerate() {
            let (answer, reads) = told(&camp, field, &before, &around);
            for (aspect, name) in Depends::ALL {
                let (mut viewer, mut subject) = (before.clone(), around.clone());
                change(aspect, dice, &mut viewer, &mut subject);
                let (again, _) = told(&camp, field, &viewer, &subject);
                prop_assert!(
                    reads.intersects(aspect) || again == answer,
                    "{} depends on the {name}, and {reads:?} is what was noted", spec.name
                );
            }
        }
    }

    /// What changed is told by both, in the same words.
    #[test]
    fn what_differs_from_before_is_found_by_comparison(seed in any::<u64>()) {
        let dice = &mut Dice(seed);
        let (mut viewer, mut subject) = (context(dice), subject(dice));
        for _ in 0..20 {
            let (aspect, name) = dice.pick(&Depends::ALL);
            let (old_viewer, old_subject) = (viewer.clone(), subject.clone());
            change(aspect, dice, &mut viewer, &mut subject);
            let changed = viewer.changes_since(&old_viewer) | subject.changes_since(&old_subject);
            prop_assert!(aspect.contains(changed), "{name}: {changed:?}");
            let equal = (&old_viewer, &old_subject) == (&viewer, &subject);
            prop_assert_eq!(changed.is_empty(), equal, "{}", name);
            prop_assert_eq!(old_viewer.changes_since(&viewer), viewer.changes_since(&old_viewer));
        }
    }
}

#[test]
fn every_question_notes_exactly_what_it_is_about() {
    let questions: [(fn(&Viewing), Depends); 14] = [
        (|viewing| drop(viewing.viewer.player().clone()), Depends::NONE),
        (|viewing| assert_eq!(viewing.subject.net_id(), NetId(7)), Depends::NONE),
        (|viewing| assert_eq!(viewing.viewer.role(), Role::Player), Depends::VIEWER_ROLE),
        (|viewing| assert_eq!(viewing.viewer.party(), None), Depends::VIEWER_PARTY),
        (|viewing| assert_eq!(viewing.viewer.team(), None), Depends::VIEWER_TEAM),
        (|viewing| assert!(!viewing.viewer.has_permission(Permissions(1))), Depends::VIEWER_PERMISSIONS),
        (|viewing| assert_eq!(viewing.viewer.fact(FactKey(1)), None), Depends::fact(FactKey(1))),
        (|viewing| assert_eq!(viewing.subject.owner(), None), Depends::SUBJECT_OWNER),
        (|viewing| assert_eq!(viewing.subject.party(), None), Depends::SUBJECT_PARTY),
        (|viewing| assert_eq!(viewing.subject.team(), None), Depends::SUBJECT_TEAM),
        (|viewing| assert!(!viewing.subject.has_tag(Tag(1))), Depends::SUBJECT_TAGS),
        (|viewing| assert!(!viewing.is_owner()), Depends::SUBJECT_OWNER),
        (|viewing| assert!(!viewing.same_party()), Depends::VIEWER_PARTY.union(Depends::SUBJECT_PARTY)),
        (|viewing| assert!(!viewing.same_team()), Depends::VIEWER_TEAM.union(Depends::SUBJECT_TEAM)),
    ];
    for (number, (question, about)) in questions.into_iter().enumerate() {
        let ((), reads) = looking(&viewer("alice"), &Subject::default(), question);
        assert_eq!(reads, about, "question {number}");
    }
}

/// One fact that ticks must not wake what asked about another.
#[test]
fn eight_facts_in_a_row_are_told_apart() {
    for a in 40..48 {
        let mut viewer = viewer("alice");
        let before = viewer.clone();
        viewer.set_fact(FactKey(a), Some(1));
        let changed = viewer.changes_since(&before);
        assert!(!changed.is_empty() && Depends::VIEWER_FACTS.contains(changed));
        for b in 40..48 {
            let asked = |viewing: &Viewing| assert_eq!(viewing.viewer.fact(FactKey(b)).is_some(), a == b);
            let ((), reads) = looking(&viewer, &Subject::default(), asked);
            assert_eq!(changed.intersects(reads), a == b, "fact {a} changed, {b} was asked about");
        }
    }
}

/// Blanking ids depends on which entities the viewer sees, so that is noted where there are any to blank.
#[test]
fn a_field_that_names_entities_depends_on_who_is_seen_unless_it_reveals_them() {
    let subject = {
        let mut subject = Subject::owned_by(player("alice"));
        subject.set_team(Some(TeamId(1)));
        subject
    };
    let mut alice = viewer("alice");
    alice.set_team(Some(TeamId(1)));
    let camp = Camp { rival: (8, NetId(5)), password: (0, vec![NetId(6)]), ..Camp::default() };
    let field = |name: &str| sent_fields::<Camp>().position(|spec| spec.name == name).expect("a sent field");
    let (_, reads) = told(&camp, field("password"), &alice, &subject);
    assert!(reads.contains(Depends::NAMED_IDS));
    let (_, reads) = told(&camp, field("rival"), &alice, &subject);
    assert_eq!(reads, Depends::SUBJECT_OWNER);
    let nobody = Camp { password: (0, Vec::new()), ..camp };
    let (_, reads) = told(&nobody, field("password"), &alice, &subject);
    assert!(!reads.contains(Depends::NAMED_IDS), "it names nobody now");
}
