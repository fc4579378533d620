//! The shipped world: caravans travel a network of roads between trade nodes, and players walk among them.
//!
//! What a player sees of it differs by player: who owns a caravan knows its cargo, scouts know where it is going,
//! smugglers where their caches lie. `terrane rules` lists all of it.
//!
//! *Does*: everything a game does: components, systems, actions, avatars, NPCs, bots, words for a console.
//! *Does not*: use anything but the public API, as any other game: what it does not need from the engine's inside,
//! no game needs.
//! *Reads*: the map of the roads, its [numbers](lore). *Writes*: its components.

pub mod allegiance;
mod almanac;
mod board;
pub mod bots;
mod bounty;
mod caches;
mod campaign;
#[cfg(test)]
mod carrier;
mod company;
pub mod console;
mod elsewhere;
mod errands;
mod goods;
mod haggle;
mod hands;
pub mod lore;
mod market;
mod objection;
mod outcome;
mod people;
mod post;
mod price;
mod profit;
mod purse;
mod quotes;
mod ranks;
pub mod roads;
mod shelf;
mod speech;
mod stock;
mod tables;
mod tally;
mod trade;
mod travel;
mod unwritten;
mod walk;

pub use allegiance::{Allegiance, Appoint, JoinParty, PARTIES, Scout};
pub use almanac::KeepPrices;
pub use board::Board;
pub use bounty::{BOUNTY_LOADS, Bounty, HandIn, TakeBounty, asked_for, bounty_period};
pub use caches::Cache;
pub use campaign::{
    Band, BattleNews, Battles, BattlesHere, Begun, Campaign, Chronicle, Encounter, End, Fight, FightRefusal,
    Halt, KeepBattle, KeepRounds, March, MarchRefusal, Meeting, Order, Round, Spoils,
};
pub use company::{Accept, Disband, Dismiss, Gather, Invite, LeaveParty, PartyEvent, PartyNews};
pub use elsewhere::FromElsewhere;
pub use errands::{
    Deliver, ERRANDS, Errand, ErrandRefusal, Errands, FinishErrand, GiveUpErrand, TakeErrand, Thanks,
    place_of,
};
pub use goods::{Burden, Cargo, Good};
pub use haggle::{Bid, Charter, Haggle, Offer};
pub use hands::{
    HIRED_AT_ONCE_MAX, Hand, Hands, HandsRefusal, Hire, Hired, Mend, PayOff, RENOWN, Retinue, WOUNDED,
};
pub use lore::Lore;
pub use market::{HOUR_TICKS, Market, Price, Prices, TradedHere, Wanted};
pub use people::{
    About, Attributes, Character, CharacterRefusal, CreateCharacter, Created, DeleteCharacter, EndCharacter,
    GearRefusal, Handbook, Known, LEVEL_MAX, Learn, LearnRefusal, Learned, Outfit, Pack, Packed,
    PeopleCommand, Skills, Study, TakeOff, Talents, Treat, VIGOUR_MAX, Vigour, Wear, Wore, Worn,
    experience_of, level_of,
};
pub use post::{
    ALL_LETTERS_MAX, Boxes, KEPT_MS, LETTER, LETTERS_MAX, Letter, Letters, News, Post, PostError, PostOffice,
    Received,
};
pub use price::{Bent, SCARCE_TIMES, Terms};
pub use purse::{Purse, RELIC, SILVER, STRONGBOX};
pub use quotes::{Quote, Quotes};
pub use ranks::{RANKS_MAX, Ranks};
pub use roads::{NodeId, RoadError, Roads};
pub use shelf::{QUOTA_EVERY_MS, Store, Way, quota_period};
pub use speech::{Chat, SAY_BYTES_MAX, Said, Say, TellParty};
pub use stock::{CountStores, MoveStock, OpenStore};
pub use trade::{Buy, LOADS_MAX, Sell, TRADE_REACH_M, TradeRefusal, Traded, market_of};
pub use travel::{Caravan, Crew, Journey, Member};
pub use walk::{Aboard, CoachRefusal, Steer, TakeCoach, WALK_M_S_MAX, Walker};

use crate::prelude::*;
use crate::replication::stage;

/// The cells' part of the game.
#[derive(Clone, Copy, Debug, Default)]
pub struct CaravanPlugin;

impl Plugin for CaravanPlugin {
    fn build(&self, app: &mut App) {
        app.replicate::<Caravan>()
            .replicate::<Walker>()
            .replicate::<Charter>()
            .replicate::<Cache>()
            .replicate::<Purse>()
            .replicate::<Quotes>()
            .settles::<Purse>()
            .replicate::<Retinue>()
            .settles::<Retinue>()
            .replicate::<Campaign>()
            .replicate::<Character>()
            .settles::<Character>()
            .replicate::<Outfit>()
            .settles::<Outfit>()
            .replicate::<Pack>()
            .settles::<Pack>()
            .replicate::<Errands>()
            .settles::<Errands>()
            .persist::<Errands>()
            .server_only::<Journey>()
            .read_published::<Roads>()
            .read_published::<Prices>()
            .read_published::<Lore>()
            .scratch::<TradedHere>()
            .scratch::<BattlesHere>()
            .add_entity_message::<Haggle>()
            .add_entity_message::<Meeting>()
            .add_own_action::<Steer, Walker>(walk::steer)
            .add_own_action::<Say, Walker>(speech::say)
            .add_own_action::<TakeCoach, Campaign>(walk::take_coach)
            .add_own_action::<March, Campaign>(campaign::set_out)
            .add_own_action::<Halt, Campaign>(campaign::halt)
            .add_own_action::<Fight, Campaign>(campaign::fight)
            .add_own_action::<TakeErrand, Errands>(errands::take_errand)
            .add_own_action::<GiveUpErrand, Errands>(errands::give_up_errand)
            .add_own_action::<Scout, Walker>(allegiance::scout)
            .add_group_action::<TellParty, Walker>(speech::tell_party)
            .add_group_action::<JoinParty, Walker>(allegiance::join_party)
            .add_group_action::<Invite, Walker>(company::invite)
            .add_group_action::<Accept, Walker>(company::accept)
            .add_group_action::<LeaveParty, Walker>(company::leave)
            .add_group_action::<Dismiss, Walker>(company::dismiss)
            .add_group_action::<Disband, Walker>(company::disband)
            .add_group_action::<Gather, Walker>(company::gather)
            .add_immediate_action::<Buy, Purse>(trade::buy, |buy, outcome| {
                trade::traded(buy.good, buy.loads, outcome)
            })
            .add_immediate_action::<Sell, Purse>(trade::sell, |sell, outcome| {
                trade::traded(sell.good, sell.loads, outcome)
            })
            .add_immediate_action::<HandIn, Purse>(bounty::hand_in, bounty::handed_in)
            .add_immediate_action::<Hire, Campaign>(hands::hire, |hire, outcome| {
                hands::hired(hire.hand, outcome)
            })
            .add_immediate_action::<PayOff, Campaign>(hands::pay_off, |pay_off, outcome| {
                hands::hired(pay_off.hand, outcome)
            })
            .add_immediate_action::<Mend, Campaign>(hands::mend, |_, outcome| {
                hands::hired(Hand::Guard, outcome)
            })
            .add_immediate_action::<Deliver, Errands>(errands::deliver, errands::delivered)
            .add_immediate_action::<CreateCharacter, Character>(people::create, people::created)
            .add_immediate_action::<DeleteCharacter, Campaign>(people::delete, people::deleted)
            .add_immediate_action::<Learn, Character>(people::learn, people::learned)
            .add_immediate_action::<Wear, Campaign>(people::wear, |wear, outcome| {
                people::wore(Some(&wear.item), None, outcome)
            })
            .add_immediate_action::<TakeOff, Campaign>(people::take_off, |take_off, outcome| {
                people::wore(None, Some(take_off.slot), outcome)
            })
            .add_immediate_action::<Treat, Campaign>(people::treat, |treat, outcome| {
                people::wore(Some(&treat.item), None, outcome)
            })
            .add_global_action::<Appoint>(allegiance::appoint)
            .add_player_event::<Chat>(Delivery::Reliable)
            .add_player_event::<PartyNews>(Delivery::Reliable)
            .add_player_event::<BattleNews>(Delivery::Reliable)
            .add_player_event::<Encounter>(Delivery::Reliable)
            .add_player_event::<Post>(Delivery::Reliable)
            .add_systems(
                Simulate,
                (
                    (haggle::hear, haggle::end_charters, travel::travel).chain(),
                    (campaign::meet, campaign::lie_in_wait, campaign::march).chain(),
                    (haggle::bid, walk::walk, walk::ride).chain(),
                    (
                        campaign::fight_on,
                        quotes::quote,
                        errands::offer,
                        people::count_slots,
                        hands::count_wounded,
                    )
                        .chain(),
                )
                    .chain(),
            );
    }
}

/// The node's part of the game: the market, what is asked for, and whose side players are on.
#[derive(Clone, Copy, Debug, Default)]
pub struct CaravanNode;

impl Plugin for CaravanNode {
    fn build(&self, app: &mut App) {
        app.replicate_global::<Market>()
            .replicate_global::<Board>()
            .replicate_global::<Ranks>()
            .replicate_global::<Letters>()
            .replicate_global::<Handbook>()
            .init_resource::<Battles>()
            .init_resource::<Chronicle>()
            .init_resource::<board::NodeCount>()
            .init_resource::<tally::Uncounted>()
            .game_tables(tables::plugin())
            .counts("trades", "Purchases and sales of players", |node| {
                actions_done::<Buy>(node) + actions_done::<Sell>(node)
            })
            .counts("battles", "Battles of players that were settled", |node| {
                node.resource::<Battles>().settled()
            })
            .counts("battles_given_up", "Battles of players that could not be settled", |node| {
                node.resource::<Battles>().given_up()
            })
            .counts("hires", "Times that players hired somebody", actions_done::<Hire>)
            .counts("quests", "Errands that players did", actions_done::<Deliver>)
            .counts("reloads", "How often the reference data were exchanged", reference_reloads)
            .counts("bounties", "Bounties that were paid to players", actions_done::<HandIn>)
            .add_systems(
                Tick,
                (
                    allegiance::enlist,
                    market::follow_lore,
                    tally::hear_of_stores,
                    tally::count_stores,
                    market::post_prices,
                    almanac::keep_prices,
                    board::post_bounties,
                    purse::welcome,
                    campaign::settle_battles,
                    campaign::write_down,
                    people::advance,
                    people::write_handbook,
                    ranks::rank,
                )
                    .chain()
                    .in_set(TickSystems::Settle),
            )
            .add_systems(
                Tick,
                (market::bring_to_market, campaign::bring_spoils)
                    .chain()
                    .in_set(TickSystems::Mirror)
                    .before(stage::mirror),
            );
    }
}

/// Everything of the game that both ends know, before a map is.
#[must_use]
pub fn caravan_plugins(builder: ServerBuilder) -> ServerBuilder {
    builder.reference::<Lore>().add_cell_plugins(CaravanPlugin).add_plugins(CaravanNode)
}

/// The whole game: cells, roads, avatars, as many caravans as the world's settings ask for, and a post office that is gone with the
/// process.
#[must_use]
pub fn caravan_game(builder: ServerBuilder, roads: Roads) -> ServerBuilder {
    caravan_world(caravan_plugins(builder), roads, PostOffice::in_memory())
}

/// What the game adds once its map is known, and where its letters go.
#[must_use]
pub fn caravan_world(builder: ServerBuilder, roads: Roads, office: PostOffice) -> ServerBuilder {
    let population = roads.clone();
    let squares = roads.clone();
    let hiding_places = roads.clone();
    let nodes = board::NodeCount(roads.nodes.len());
    let map = roads.clone();
    builder
        .add_plugins(move |app: &mut App| {
            app.insert_resource(nodes).insert_resource(market::RoadMap(map.clone()));
        })
        .add_plugins(post::PostPlugin(office))
        .publish(roads)
        .publish(Prices::default())
        .populate(move |world| caches::hide_caches(world, &hiding_places))
        .avatars(move |request| walk::avatar(request, &squares))
        .npcs::<Caravan>(move |world, number| travel::spawn_caravan(world, &population, number))
}
