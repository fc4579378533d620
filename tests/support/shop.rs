//! A shop: players buy apples for silver, give silver to each other, and try what they must not.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use terrane::prelude::*;
use terrane::reward::AssetClass;
use terrane::testing::{ClientId, TestWorld};

/// What a player shows of what it holds.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Purse {
    #[sync(broadcast)]
    pub silver: Settled<u64>,
    #[sync(custom = own)]
    pub apples: Settled<u64>,
    #[sync(broadcast)]
    pub price: u64,
}

pub fn own(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

impl Settles for Purse {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.silver, holdings.amount(&"silver".into()));
        pen.write(&mut self.apples, holdings.amount(&"apple".into()));
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Receipt, refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
pub struct Buy {
    pub apples: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// What the player had when that was committed.
    pub silver: u64,
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused(pub PlanRefusal);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Sells apples back for what they cost.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
pub struct Sell {
    pub apples: u64,
}

/// Gives silver to somebody of the own party.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
pub struct Give {
    pub to: PlayerId,
    pub silver: u64,
}

/// Makes silver for somebody.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
pub struct Mint {
    pub whom: PlayerId,
}

/// Asks for what its scope does not let it reach.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
pub struct Rob {
    pub whom: PlayerId,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
pub struct Join;

pub fn buy(action: &Buy, purse: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, Refused> {
    Ok(context.request("buy").pay("silver", action.apples * purse.price, "market").grant(
        "apple",
        action.apples,
        "market",
    ))
}

pub fn bought(
    _: &Buy,
    outcome: Result<&terrane::store::MutationSummary, &PlanRefusal>,
) -> Result<Receipt, Refused> {
    let summary = outcome.map_err(|refusal| Refused(refusal.clone()))?;
    let silver = summary
        .holdings()
        .iter()
        .find(|held| held.asset.as_str() == "silver" && held.account.player().is_some());
    Ok(Receipt { silver: silver.map_or(0, |held| held.amount as u64), version: summary.versions()[0].1 })
}

pub struct Shop;

impl Plugin for Shop {
    fn build(&self, app: &mut App) {
        app.replicate::<Purse>()
            .settles::<Purse>()
            .add_immediate_action::<Buy, Purse>(buy, bought)
            .add_immediate_action::<Sell, Purse>(
                |sell, purse, context| {
                    let request = context.request("sell").pay("apple", sell.apples, "market");
                    Ok(request.grant("silver", sell.apples * purse.price, "market"))
                },
                |_, outcome| outcome.map(drop).map_err(|refusal| Refused(refusal.clone())),
            )
            .add_immediate_action::<Give, Purse>(
                |give, _, context| Ok(context.request("give").give("silver", give.silver, &give.to)),
                |_, outcome| outcome.map(drop).map_err(|refusal| Refused(refusal.clone())),
            )
            .add_immediate_action::<Mint, Purse>(
                |mint, _, context| {
                    let part = terrane::reward::Part::Grant {
                        asset: "silver".into(),
                        amount: 7,
                        from: Account::House("mint".into()),
                        to: Account::from(&mint.whom),
                        overflow: terrane::reward::Overflow::Refuse,
                    };
                    Ok(context.request("mint").part(part))
                },
                |_, outcome| outcome.map(drop).map_err(|refusal| Refused(refusal.clone())),
            )
            .add_immediate_action::<Rob, Purse>(
                |rob, _, context| {
                    let (from, to) = (Account::from(&rob.whom), Account::from(context.player));
                    let pick = terrane::reward::Pick::Any;
                    let part =
                        terrane::reward::Part::Give { asset: "silver".into(), amount: 1, pick, from, to };
                    Ok(context.request("rob").part(part))
                },
                |_, outcome| outcome.map(drop).map_err(|refusal| Refused(refusal.clone())),
            )
            .add_group_action::<Join, Purse>(|_, _, context| {
                context.enter(PartyId(7)).map_err(|why| why.to_string())
            });
    }
}

/// Everybody who comes in for the first time is given a hundred silver.
pub struct Welcome;

pub fn welcome(mut rewards: RewardsOfNode, book: Res<terrane::value::Book>) {
    let new = book.players().filter(|(_, held)| held.version == 0);
    let new: Vec<PlayerId> = new.map(|(player, _)| player.clone()).collect();
    for player in new {
        let key = ClaimKey::named("welcome", player.as_str().as_bytes());
        let request = PlanRequest::new("welcome", &player).grant("silver", 100, "mint");
        rewards.ask(NetId::WORLD, key, request);
    }
}

impl Plugin for Welcome {
    fn build(&self, app: &mut App) {
        app.add_systems(Tick, welcome.in_set(TickSystems::Settle));
    }
}

pub fn tables() -> RewardTables {
    RewardTables::builder()
        .asset("silver", AssetClass::Currency { cap: 1_000_000 })
        .asset("apple", AssetClass::Item { stack_max: 10, is_single: false, expires_after_ms: None })
        .build()
        .expect("sound")
}

pub fn game(price: u64) -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Shop).add_plugins(Welcome).rewards(tables()).avatars(
        move |request| {
            let purse = Purse { price, ..Purse::default() };
            let owned = Subject::owned_by(request.player.clone());
            SpawnRequest::new(NetId::WORLD, Vec3::splat(10.0), (purse, owned))
        },
    )
}

pub fn purse(world: &TestWorld, client: ClientId) -> Purse {
    world.component(client, world[client].avatar().expect("in")).expect("seen")
}

pub fn held(world: &TestWorld, player: &str, asset: &'static str) -> u64 {
    let player = PlayerId::new(player).expect("a name");
    world.players().bank().holdings(&Account::from(&player)).amount(&asset.into())
}
