//! The level of the entity, and of the component.

use proptest::prelude::*;
use terrane::ids::{PartyId, Role, Tag, TeamId};
use terrane::protocol::codec;
use terrane::replication::policy::{
    ComponentPolicy, ComponentRule, Subject, SyncNode, ViewerContext, Viewing,
};
use terrane::replication::{FieldWriter, Replicate, SyncFields};

use super::support::{Dice, looking, player, viewer};
use super::world::NAMES;

fn contexts() -> Vec<ViewerContext> {
    let mut all = Vec::new();
    for name in NAMES {
        for party in [None, Some(PartyId(1)), Some(PartyId(2))] {
            for team in [None, Some(TeamId(1))] {
                for role in [Role::Player, Role::Gm, Role::Admin] {
                    let mut context = ViewerContext::new(player(name), role);
                    context.set_party(party);
                    context.set_team(team);
                    all.push(context);
                }
            }
        }
    }
    all
}

proptest! {
    /// B7: the markers of an entity each decide alone, and all of them must let a viewer through.
    #[test]
    fn a_viewer_sees_an_entity_when_every_marker_lets_it_through(seed in any::<u64>()) {
        let dice = &mut Dice(seed);
        let mut subject = Subject::default();
        let (owner, party, team) = (
            dice.pick(&[None, Some("alice"), Some("bob")]).map(player),
            dice.pick(&[None, Some(PartyId(1))]),
            dice.pick(&[None, Some(TeamId(1))]),
        );
        subject.set_owner(owner.clone());
        subject.set_party(party);
        subject.set_team(team);
        let markers: [bool; 3] = std::array::from_fn(|_| dice.below(3) == 0);
        subject.set_owner_only(markers[0]);
        subject.set_party_only(markers[1]);
        subject.set_team_only(markers[2]);
        let role = dice.pick(&[None, None, Some(Role::Gm)]);
        subject.set_visible_to_role(role);
        let foes = dice.list(2, |dice| player(dice.pick(&NAMES)));
        for foe in &foes {
            subject.set_hidden_from(foe.clone(), true);
        }
        for viewer in contexts() {
            let mut seen = true;
            if markers[0] && owner.as_ref() != Some(viewer.player()) { seen = false; }
            if markers[1] && (party.is_none() || party != viewer.party()) { seen = false; }
            if markers[2] && (team.is_none() || team != viewer.team()) { seen = false; }
            if role == Some(Role::Gm) && viewer.role() == Role::Player { seen = false; }
            if foes.contains(viewer.player()) { seen = false; }
            prop_assert_eq!(subject.admits(&viewer), seen, "{:?} by {:?}", subject, viewer);
        }
        let marked = markers.contains(&true) || role.is_some() || !foes.is_empty();
        prop_assert_eq!(subject.is_marked(), marked);
        let aspects = owner.is_some() || party.is_some() || team.is_some();
        prop_assert_eq!(subject.is_plain(), !marked && !aspects);
        let bytes = codec::encode(&subject);
        let read = codec::decode::<Subject, 1_024>("subject", &bytes);
        prop_assert_eq!(read, Ok(subject), "it travels and is saved");
    }
}

#[test]
fn what_is_set_to_what_it_was_is_no_change_and_a_subject_is_plain_again_when_all_is_undone() {
    let mut subject = Subject::default();
    subject.set_tag(Tag(9), true);
    subject.set_tag(Tag(4), true);
    subject.override_component::<Open>(Some(ComponentRule::Party));
    subject.override_component::<Open>(Some(ComponentRule::Nobody));
    subject.set_hidden_from(player("bob"), true);
    let before = subject.clone();
    assert_eq!(subject.tags(), [Tag(4), Tag(9)]);
    assert!(!subject.is_plain() && subject.is_marked());

    subject.set_tag(Tag(4), true);
    subject.set_tag(Tag(5), false);
    subject.override_component::<Open>(Some(ComponentRule::Nobody));
    subject.override_component::<Owners>(None);
    subject.set_hidden_from(player("bob"), true);
    subject.set_owner(None);
    assert_eq!(subject, before, "nothing of this changed anything");

    for tag in [4, 9] {
        subject.set_tag(Tag(tag), false);
    }
    subject.override_component::<Open>(None);
    assert!(subject.is_marked(), "it is still hidden from bob");
    subject.set_hidden_from(player("bob"), false);
    assert!(subject.is_plain() && !subject.is_marked());
}

#[test]
fn an_override_is_found_by_the_components_name() {
    let mut subject = Subject::default();
    subject.override_component::<Owners>(Some(ComponentRule::Owner));
    subject.override_component::<Open>(Some(ComponentRule::Role(Role::Gm)));
    assert_eq!(subject.component_rule("Open"), Some(ComponentRule::Role(Role::Gm)));
    assert_eq!(subject.component_rule("Owners"), Some(ComponentRule::Owner));
    assert_eq!(subject.component_rule("Teams"), None);
    let names: Vec<_> = subject.component_rules().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["Open", "Owners"]);
}

macro_rules! gated {
    ($($name:ident [$($gate:tt)*])*) => {$(
        #[derive(Clone, Debug, Default, PartialEq, Replicate)]
        #[sync($($gate)*)]
        struct $name {
            #[sync(broadcast)]
            value: u8,
        }
    )*};
}

gated! {
    Owners [owner] Partys [party] Teams [team] Staffs [role = Gm] Admins [role = Admin]
    ByValue [custom = when_even] ByViewing [custom = when_named_bob]
}

fn when_even(component: &ByValue, _: &Viewing) -> bool {
    component.value.is_multiple_of(2)
}

fn when_named_bob(viewing: &Viewing) -> bool {
    viewing.viewer.player().as_str() == "bob"
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Open {
    #[sync(broadcast)]
    value: u8,
}

/// Its fields need no policies: none of them is ever asked.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
#[sync(server_only)]
struct Kept {
    value: u8,
    #[sync(broadcast)]
    name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
#[sync(server_only)]
enum KeptMood {
    #[default]
    Calm,
    Angry(String),
}

/// B7: the level of the component.
#[test]
fn a_components_own_policy_says_who_sees_it() {
    let mut subject = Subject::owned_by(player("alice"));
    subject.set_party(Some(PartyId(1)));
    subject.set_team(Some(TeamId(1)));
    for context in contexts() {
        let ask = |visible: fn(&Viewing) -> bool| looking(&context, &subject, visible).0;
        let name = context.player().as_str();
        assert!(ask(|viewing| Open::default().is_visible(viewing)));
        assert_eq!(ask(|viewing| Owners::default().is_visible(viewing)), name == "alice");
        assert_eq!(ask(|viewing| Partys::default().is_visible(viewing)), context.party() == Some(PartyId(1)));
        assert_eq!(ask(|viewing| Teams::default().is_visible(viewing)), context.team() == Some(TeamId(1)));
        assert_eq!(ask(|viewing| Staffs::default().is_visible(viewing)), context.role() >= Role::Gm);
        assert_eq!(ask(|viewing| Admins::default().is_visible(viewing)), context.role() == Role::Admin);
        assert!(ask(|viewing| ByValue { value: 2 }.is_visible(viewing)));
        assert!(!ask(|viewing| ByValue { value: 3 }.is_visible(viewing)));
        assert_eq!(ask(|viewing| ByViewing::default().is_visible(viewing)), name == "bob");
        assert!(!ask(|viewing| Kept::default().is_visible(viewing)));
        for (rule, same) in [
            (ComponentRule::Owner, ask(|viewing| Owners::default().is_visible(viewing))),
            (ComponentRule::Party, ask(|viewing| Partys::default().is_visible(viewing))),
            (ComponentRule::Team, ask(|viewing| Teams::default().is_visible(viewing))),
            (ComponentRule::Role(Role::Gm), ask(|viewing| Staffs::default().is_visible(viewing))),
            (ComponentRule::Everyone, true),
            (ComponentRule::Nobody, false),
        ] {
            assert_eq!(looking(&context, &subject, |viewing| rule.admits(viewing)).0, same, "{rule:?}");
        }
    }
    assert_eq!(
        [
            Open::GATED,
            Owners::GATED,
            ByValue::GATED,
            Kept::GATED,
            Open::IS_COMPONENT_ONLY,
            Staffs::IS_COMPONENT_ONLY
        ],
        [false, true, true, true, false, true]
    );
    assert_eq!(Staffs::COMPONENT_POLICY, ComponentPolicy::Role(Role::Gm));
    assert_eq!(ComponentPolicy::Role(Role::Gm).to_string(), "role = Gm");
}

/// B1: kept, moved and saved, but never sent nor in a ghost.
#[test]
fn a_server_only_component_has_no_encoder_whatever_its_fields_say() {
    let kept = Kept { value: 7, name: "canary".into() };
    let mut out = FieldWriter::default();
    kept.encode_sent(&mut out);
    KeptMood::Angry("canary".into()).encode_sent(&mut out);
    assert_eq!(out, FieldWriter::default());
    let mut ghost = kept.clone();
    kept.project(&mut ghost);
    assert_eq!(ghost, Kept::default());
    let mut mood = KeptMood::Angry("canary".into());
    mood.clone().project(&mut mood);
    assert_eq!(mood, KeptMood::Calm);
    assert!(mood.decode_sent(0, &[1]).is_err() && ghost.decode_sent(0, &[1]).is_err());
    assert!(Kept::FIELDS.iter().chain(KeptMood::FIELDS).all(|spec| !spec.is_sent()));
    let mut saved = Vec::new();
    kept.save(&mut saved);
    assert_eq!(Kept::load(&saved), Ok((kept, saved.len())));
    let (sieved, _) = looking(&viewer("alice"), &Subject::default(), |viewing| ghost.sieve(viewing));
    assert_eq!((sieved.value, sieved.hidden), (Kept::default(), Vec::<String>::new()));
}
