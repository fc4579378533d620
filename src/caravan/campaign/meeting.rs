//! Players who come near each other on the roads meet, by chance, and fight if their sides are at odds.
//!
//! One hails another, and whoever is hailed and on its way answers: two messages, which take the same time whether the two are in one cell or
//! not. What each says of itself is all that the other knows. So in a skirmish each side fights, by the rules for battles with bands, the
//! other's people as they were when they met, and has its own losses settled in its own plan. Nothing passes from one to the other: nobody's
//! people fall twice, no plan waits for two players, and neither can gain by what the other does with its orders, or by leaving. The price is
//! that both may win, or both lose: each tells its own story. Who is attacked by a band while the answer is on its way does not fight twice.

use std::collections::BTreeMap;

use crate::cell::message::Addressed;
use crate::ids::{PartyId, PlayerId};
use crate::prelude::*;

use super::super::hands::Retinue;
use super::super::lore::{FactionId, Lore};
use super::super::people::{Character, Outfit, Talents};
use super::super::roads::Roads;
use super::super::walk::Walker;
use super::ambush::is_guarded;
use super::band::are_at_odds;
use super::battle::Side;
use super::chronicle::Begun;
use super::settle::BattlesHere;
use super::{Band, Campaign, Foes};

/// So near to each other players may meet, m.
const NEAR_M: f32 = 25.0;
/// Who is slower than that stands about, m/s, and is not on its way.
const ON_ITS_WAY_M_S: f32 = 1.0;
/// So often a player who is on its way looks about, ticks.
const LOOKS_EVERY: u64 = 40;
/// How often it hails whom it sees then.
const HAILS_SHARE: f32 = 0.5;
/// For so many ticks it waits for an answer and answers nobody.
const WAITS_TICKS: u64 = 3;
/// Who has met somebody meets nobody for so long, s.
const MEETS_EVERY_S: f32 = 60.0;

/// Purposes of chance.
const HAIL: u32 = 24;

/// What a player who meets another tells of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meeting {
    /// It answers, and has not begun to speak.
    is_answer: bool,
    name: String,
    party: Option<PartyId>,
    faction: Option<FactionId>,
    /// How many they are, the player included, and how hard one of them strikes.
    people: u16,
    strength: f32,
}

/// Tells a player whom it has met on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Replicate)]
#[sync(owner)]
pub struct Encounter {
    /// The other's name.
    #[sync(broadcast, max_bytes = 40)]
    pub with: String,
    /// Their sides are at odds: they fight.
    #[sync(broadcast)]
    pub is_hostile: bool,
}

/// A player on its way, and those with it.
type Traveller<'a> = (
    &'a NetId,
    &'a Position,
    &'a Walker,
    &'a mut Campaign,
    &'a Retinue,
    &'a Subject,
    (&'a Character, &'a Outfit),
);

/// Lets players who are far from any node hail each other, answer, and fight if they are at odds. Chance depends on the player, the tick,
/// and who was near at the end of the last one.
#[expect(clippy::too_many_arguments, reason = "what one system reads and writes")]
pub(in super::super) fn meet(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    lore: Res<Published<Lore>>,
    nearby: Nearby,
    arrived: EntityInbox<Meeting>,
    mut hails: EntityOutbox<Meeting>,
    mut here: ResMut<BattlesHere>,
    mut events: PlayerEvents,
    mut travellers: Query<Traveller<'_>>,
) {
    let now = context.tick.0;
    let mut heard = BTreeMap::<NetId, Vec<&Addressed<Meeting>>>::new();
    for message in arrived.iter() {
        heard.entry(message.to).or_default().push(message);
    }
    for (&net_id, position, walker, mut campaign, retinue, subject, (character, outfit)) in &mut travellers {
        let looks = (now + net_id.0).is_multiple_of(LOOKS_EVERY);
        let heard = heard.get(&net_id).map_or(&[][..], Vec::as_slice);
        let is_free = !campaign.is_fighting() && now >= campaign.safe_until;
        if (!looks && heard.is_empty()) || !is_free {
            continue;
        }
        let is_out = walker.speed_m_s >= ON_ITS_WAY_M_S
            && now >= campaign.meets_after
            && !is_guarded(&roads, context.world_area, position.0.truncate());
        let talents = Talents::of(&lore, character, outfit);
        let people = retinue.hands.all().saturating_add(1);
        let force = Side { talents: &talents, hands: &retinue.hands }.force();
        let tells = |is_answer: bool| Meeting {
            is_answer,
            name: walker.name.clone(),
            party: subject.party(),
            faction: character.faction(&lore).cloned(),
            people,
            strength: force / f32::from(people),
        };
        // Whoever has hailed somebody takes the answer; else only who is out on the road meets anybody.
        let other = heard.iter().find(|heard| {
            let is_fellow = heard.message.party.is_some() && heard.message.party == subject.party();
            !is_fellow && (heard.message.is_answer || is_out)
        });
        if let Some(Addressed { from, message: other, .. }) = other {
            if !other.is_answer {
                hails.send(net_id, *from, tells(true));
            }
            campaign.meets_after = now + context.ticks(MEETS_EVERY_S);
            let is_hostile = are_at_odds(&lore, character.faction(&lore), other.faction.as_ref());
            if let Ok(player) = PlayerId::new(&walker.name) {
                let told = Encounter { with: other.name.clone(), is_hostile };
                events.send(net_id, Audience::Player(player), told);
            }
            if is_hostile {
                let foes = Foes { band: Band::Rivals, count: other.people, strength: other.strength };
                campaign.begin_battle(foes, &talents, *character.vigour, &context);
                here.begun.extend(Begun::of(net_id, walker, &campaign));
            }
            continue;
        }
        if looks && is_out {
            let mut chance = context.random(net_id, HAIL);
            let near = nearby.within(position.0, NEAR_M).unwrap_or_default();
            let mut others = near.into_iter().filter(|near| near.net_id != net_id);
            if let Some(other) = others.find(|_| chance.chance(HAILS_SHARE)) {
                campaign.meets_after = now + WAITS_TICKS;
                hails.send(net_id, other.net_id, tells(false));
            }
        }
    }
}
