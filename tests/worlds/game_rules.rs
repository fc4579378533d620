//! The rules of a game laid open: policies to any depth, actions, measured bytes, and what breaks a rule.

use std::collections::BTreeMap;

use terrane::action::{Caller, Coalesce, GlobalScope, GroupScope, Limit, OwnScope, Pace};
use terrane::prelude::*;
use terrane::server::rules::{FlagKind, Rules};
use terrane::testing::TestWorld;

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Shop {
    #[sync(broadcast, max_bytes = 40)]
    name: String,
    #[sync(masked = to_tens)]
    till: u32,
    #[sync(custom = for_its_owner, max_bytes = 60)]
    stock: Vec<u16>,
    #[sync(per_player_slice, nested, max_bytes = 80)]
    orders: BTreeMap<PlayerId, Order>,
    #[sync(broadcast, precision = 0.5)]
    roof: f32,
    #[sync(server_only)]
    seed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Order {
    #[sync(broadcast)]
    goods: u16,
    #[sync(custom = for_its_owner_too)]
    price: u32,
    #[sync(broadcast, nested)]
    parts: Vec<Order>,
}

#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
struct Town {
    #[sync(broadcast)]
    round: u64,
    #[sync(per_player = nobody_yet)]
    whisper: u64,
    #[sync(computed = doubled)]
    double: u64,
}

fn to_tens(till: &u32) -> u32 {
    till / 10 * 10
}

fn for_its_owner(_: &Vec<u16>, viewing: &Viewing) -> bool {
    viewing.is_owner()
}

fn for_its_owner_too(_: &u32, viewing: &Viewing) -> bool {
    viewing.is_owner()
}

fn nobody_yet(_: &u64, _: &PlayerId) -> Option<u64> {
    None
}

fn doubled(town: &Town) -> u64 {
    town.round * 2
}

#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ledger(u64);

#[derive(Clone, Copy, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
struct Open {
    wide: bool,
}

/// How a party feels is its own affair.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(party)]
struct Mood {
    #[sync(broadcast)]
    cheer: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, on = shop, reply = u32, refusal = Busy, rate = 0.5, burst = 3, coalesce = newest, durability = memory)]
struct Hire {
    shop: NetId,
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Busy;
impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("busy")
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), rate = 2, burst = 4, coalesce = none, durability = memory, speaks)]
struct Cheer(String);

#[derive(Clone, Copy, Debug, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Tax {
    percent: u32,
}

fn open(action: &Open, shop: &mut Shop, _: &mut OwnContext<'_>) -> Result<(), String> {
    shop.till = u32::from(action.wide);
    Ok(())
}

fn tax(action: &Tax, context: &mut GlobalContext<'_>) -> Result<(), String> {
    let town = context.resource_mut::<Town>().ok_or("there is no town")?;
    town.round = u64::from(action.percent);
    Ok(())
}

/// A theft is told to the owner, however many see the shop.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
#[sync(owner)]
struct Theft {
    #[sync(broadcast)]
    silver: u32,
    #[sync(broadcast, reveal_ids)]
    thieves: Vec<NetId>,
    #[sync(server_only)]
    seed: u64,
}

struct Shops;
impl Plugin for Shops {
    fn build(&self, app: &mut App) {
        app.add_player_event::<Theft>(Delivery::Reliable);
        app.replicate::<Shop>().server_only::<Ledger>().add_own_action::<Open, Shop>(open);
        app.add_own_action::<Hire, Ledger>(|_, ledger, _| {
            ledger.0 += 1;
            Err(Busy)
        });
        app.replicate::<Mood>().add_group_action::<Cheer, Mood>(|_, group, _| {
            group.caller_mut().cheer += 1;
            Ok(())
        });
    }
}

struct Towns;
impl Plugin for Towns {
    fn build(&self, app: &mut App) {
        app.replicate_global::<Town>();
    }
}

fn game() -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Shops).add_plugins(Towns)
}

fn rules(builder: &ServerBuilder) -> Rules {
    builder.rules(None).expect("a sound game")
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// C9: everything that is registered, to any depth, a type within itself once.
#[test]
fn the_rules_lay_every_type_and_action_open() {
    let told = rules(&game()).to_string();
    let lines: Vec<String> = told.lines().map(words).filter(|line| !line.is_empty()).collect();
    let shop = lines.iter().position(|line| line.starts_with("Shop")).expect("the shop is there");
    assert_eq!(
        lines[shop..],
        [
            "Shop (everyone): at most 193 bytes",
            "name broadcast String at most 40 bytes",
            "till masked u32 at most 5 bytes",
            "stock custom Vec<u16> at most 60 bytes",
            "orders per_player_slice, nested {Order} at most 80 bytes",
            "goods broadcast u16",
            "price custom u32",
            "parts broadcast, nested [Order], personal within",
            "… Order again",
            "roof broadcast, precision 0.5 f32 at most 5 bytes",
            "seed server_only u64",
            "Mood (party): at most 5 bytes",
            "cheer broadcast u32 at most 5 bytes",
            "Town (everyone, node-wide): at most 28 bytes",
            "round broadcast u64 at most 9 bytes",
            "whisper per_player u64 at most 9 bytes",
            "double computed u64 at most 9 bytes",
            "kept on the server: worlds::game_rules::Ledger",
            "event Theft (owner, reliable): at most 512 bytes",
            "silver broadcast u32 at most 5 bytes",
            "thieves broadcast, reveal_ids Vec<NetId> at most 512 bytes",
            "seed server_only u64",
            "action Open scope self, caller player, the newest counts",
            "takes {wide:bool}->(), at most 1024 bytes",
            "reaches Shop of the caller; a call tells each who sees it at most 51 bytes and 142 bytes that depend on who \
             looks, calls at most 3860 bytes a second",
            "action Hire scope self, caller player, 0.5 a second, 3 at once, of one tick the newest, on an entity that it \
             names",
            "takes {shop:NetId,name:String}->u32|Busy, at most 1024 bytes",
            "reaches worlds::game_rules::Ledger of the caller; nobody is told of it",
            "action Cheer scope group, caller player, 2 a second, 4 at once, each is run, speaks",
            "takes (String)->(), at most 1024 bytes",
            "reaches Mood of the caller and at most 31 others; a call tells each who sees it (party) at most 5 bytes of \
             each, calls at most 320 bytes a second",
            "not in these bytes: events that handlers tell, and what comes into views when they change a player's party or \
             context; terrane_actions_total and terrane_events_told_total in /metrics count what was done and told",
            "3 of 3 actions reach no further than a group",
            "note contains_itself Shop.orders.parts: `Order` contains itself: 16 levels of it are told, what lies deeper is not",
            "note reveals_ids Theft.thieves: names entities to viewers who do not see them, as it declares",
            "note unmuted_text Hire: it holds text and does not speak, so who is muted may call it: declare `speaks` if others \
             read it",
        ]
    );
    let json = serde_json::to_value(rules(&game())).expect("it is JSON");
    let shop = json["components"].as_array().expect("a list").iter().find(|one| one["name"] == "Shop");
    let orders = &shop.expect("the shop is there")["fields"][3];
    assert_eq!(orders["nested"]["form"], "{Order}");
    assert_eq!(orders["nested"]["variants"][0]["fields"][1]["policy"], "custom");
    assert_eq!(orders["nested"]["variants"][0]["fields"][2]["nested"]["recursive"], true);
    let theft = &json["events"][0];
    assert_eq!((&theft["policy"], &theft["bytes_max"]), (&"owner".into(), &512.into()));
    assert_eq!(
        json["actions"][2],
        serde_json::json!({
            "name": "Cheer", "scope": "group", "caller": "player", "latest_wins": false,
            "rate_per_s": 2.0, "burst": 4, "coalesce": "none", "durability": "memory", "speaks": true, "has_target": false,
            "shape": "(String)->()", "payload_bytes_max": 1024,
            "blast_radius": {
                "who": "party", "entities_max": 32, "component": "Mood", "told": "party",
                "shared_bytes_max": 5, "personal_bytes_max": 0, "bytes_per_s_max": 320.0
            }
        })
    );
    let open = &json["actions"][0];
    assert_eq!((&open["rate_per_s"], &open["latest_wins"]), (&serde_json::Value::Null, &true.into()));
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Wide {
    #[sync(broadcast, max_bytes = 700)]
    text: String,
    #[sync(broadcast, nested, max_bytes = 400)]
    list: Vec<Order>,
    #[sync(broadcast, reveal_ids)]
    leader: NetId,
    #[sync(broadcast)]
    more: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Huge {
    #[sync(custom = one_sees, max_bytes = 3_000)]
    one: String,
    #[sync(custom = one_sees, max_bytes = 3_000)]
    two: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Silent {
    #[sync(server_only)]
    seed: u64,
}

fn one_sees(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

/// What the derive does not let pass can be written by hand.
macro_rules! by_hand {
    ($($name:ident: $scope:ty, $pace:expr;)*) => {$(
        #[derive(Clone, Copy, Debug, Serialize, Deserialize)]
        struct $name;
        impl Action for $name {
            const NAME: &'static str = stringify!($name);
            type Durability = terrane::action::InMemory;
            type Scope = $scope;
            const CALLER: Caller = Caller::Player;
            const PACE: Pace = $pace;
            const SPEAKS: bool = false;
            const SHAPE: &'static str = "->()";
            type Reply = ();
            type Refusal = String;
        }
    )*};
}

by_hand! {
    Anarchy: GlobalScope, Pace::Single(Limit { rate_per_s: 1.0, burst: 1, coalesce: Coalesce::None });
    Drag: GroupScope, Pace::Continuous;
    Never: OwnScope, Pace::Single(Limit { rate_per_s: f64::NAN, burst: 1, coalesce: Coalesce::None });
    Nowhere: OwnScope, Pace::Single(Limit { rate_per_s: 1.0, burst: 0, coalesce: Coalesce::None });
}

/// Everybody in range is sent all of it five times a second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), rate = 5, burst = 2, coalesce = none, durability = memory)]
struct Repaint;

/// Of the cell alone.
#[derive(Component, Clone, Debug, Default)]
struct Unknown;

struct Faults;
impl Plugin for Faults {
    fn build(&self, app: &mut App) {
        app.replicate::<Wide>().replicate::<Huge>().replicate::<Silent>().add_global_action::<Tax>(tax);
        app.add_global_action::<Anarchy>(|_, _| Ok(()))
            .add_group_action::<Drag, Mood>(|_, _, _| Ok(()))
            .add_own_action::<Never, Mood>(|_, _, _| Ok(()))
            .add_own_action::<Nowhere, Unknown>(|_, _, _| Ok(()))
            .add_own_action::<Repaint, Wide>(|_, _, _| Ok(()));
    }
}

/// C3, C9: what breaks a rule is an error, what is unwise a warning, and each names its place.
#[test]
fn what_breaks_a_rule_is_flagged_where_it_is() {
    let rules = rules(&game().add_cell_plugins(Faults));
    let flags: Vec<(FlagKind, &str, &str)> =
        rules.flags.iter().map(|flag| (flag.kind, flag.rule, flag.place.as_str())).collect();
    assert_eq!(
        flags,
        [
            (FlagKind::Error, "row_too_long", "Huge"),
            (FlagKind::Error, "global_without_role", "Anarchy"),
            (FlagKind::Error, "continuous_beyond_own", "Drag"),
            (FlagKind::Error, "no_limit", "Never"),
            (FlagKind::Error, "no_limit", "Nowhere"),
            (FlagKind::Error, "unknown_component", "Nowhere"),
            (FlagKind::Warning, "beyond_an_update", "Wide"),
            (FlagKind::Warning, "wide_broadcast", "Wide.text"),
            (FlagKind::Warning, "personal_in_large_list", "Wide.list"),
            (FlagKind::Warning, "nothing_sent", "Silent"),
            (FlagKind::Warning, "fast_global", "Tax"),
            (FlagKind::Warning, "soon_forgotten", "Tax"),
            (FlagKind::Warning, "wide_action", "Repaint"),
            (FlagKind::Warning, "few_local_actions", "actions"),
            (FlagKind::Note, "contains_itself", "Shop.orders.parts"),
            (FlagKind::Note, "contains_itself", "Wide.list.parts"),
            (FlagKind::Note, "reveals_ids", "Wide.leader"),
            (FlagKind::Note, "reveals_ids", "Theft.thieves"),
            (FlagKind::Note, "unmuted_text", "Hire"),
        ]
    );
    assert!(rules.has_errors());
    let text = rules.to_string();
    for line in [
        "  reaches anything of everybody; what that sends is not declared",
        "lower the rate to 5 or less",
        "one player can have every viewer sent 10680 bytes a second by it, where 4096 should do",
        "at 1000 a second the 1024 answers that are remembered of a player are those of the last 1 s",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let unused: Vec<_> = Rules::clone(&self::rules(&ServerBuilder::default()))
        .flags
        .into_iter()
        .map(|flag| flag.text)
        .collect();
    assert_eq!(unused, ["no field is server_only, masked, per_player, per_player_slice, custom, computed"]);
}

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a name")
}

/// Bytes of an image are those that a client is sent: by the owner for what is personal.
#[test]
fn the_bytes_of_a_saved_world_are_measured() {
    let shop = |number: u64| Shop {
        name: "x".repeat(number as usize),
        stock: vec![7; number as usize],
        orders: BTreeMap::from([(player("alice"), Order { goods: 1, price: 300, parts: Vec::new() })]),
        ..Shop::default()
    };
    let filled = game().populate(move |world| {
        for number in 1..=60 {
            let owned = number % 2 == 0;
            let subject = if owned { Subject::owned_by(player("alice")) } else { Subject::default() };
            let place = Vec3::new(10.0 + number as f32, 10.0, 0.0);
            world.spawn(SpawnRequest::new(NetId::WORLD, place, (shop(number), Ledger(1), subject)));
        }
    });
    let mut world = TestWorld::new(filled, WorldSettings::default());
    world.run(2);
    let image = world.image();
    let rules = game().rules(Some(&image)).expect("an image of this game");
    assert_eq!(rules.measured.map(|world| world.entities), Some(60));
    let shop = rules.components.iter().find(|component| component.name == "Shop").expect("the shop is there");
    let of = |name: &str| {
        let field = shop.fields.iter().find(|field| field.name == name).expect("it is a field");
        field.measured.map(|measured| (measured.count, measured.mean, measured.max, measured.too_long))
    };
    // A text of n bytes takes n + 1; those longer than 39 bytes are longer than 40 with that.
    assert_eq!(of("name"), Some((39, 21.0, 40, 21)));
    assert_eq!(of("till"), Some((60, 1.0, 1, 0)));
    // Only the thirty shops of alice tell their stock, to her; of those one has 60 goods, which are 61 bytes.
    assert_eq!(of("stock"), Some((29, 31.0, 59, 1)));
    // A map of one: length, "alice", mask, goods, price, empty list; nobody has the map with nothing in it.
    let (count, mean, max, too_long) = of("orders").expect("it is sent");
    assert_eq!((count, too_long), (60, 0));
    assert!(max > 12 && mean < max as f64 && mean > 1.0, "{mean} {max}");
    assert_eq!(of("seed"), None, "what is never sent is not measured");
    let town = rules.components.iter().find(|component| component.node_wide).expect("the town is there");
    assert_eq!(town.measured.map(|measured| measured.count), Some(1));
    assert!(rules.has_errors(), "names are too long: {rules}");
    assert!(rules.to_string().contains("error    too_long_in_save Shop.name: 21 of 60 values"), "{rules}");

    let error = ServerBuilder::default().rules(Some(&image)).expect_err("another game's image").to_string();
    assert!(error.contains("it holds components"), "{error}");
}

/// C3, C9: nothing of the shipped game is flagged but what is merely worth knowing.
#[test]
fn the_shipped_game_is_flagged_for_nothing() {
    let rules = rules(&terrane::caravan::caravan_plugins(ServerBuilder::default()));
    let flagged: Vec<_> = rules.flags.iter().filter(|flag| flag.kind != FlagKind::Note).collect();
    assert!(flagged.is_empty(), "{flagged:#?}");
    assert!(rules.actions.len() > 10 && rules.actions.iter().any(|action| action.speaks));
}
