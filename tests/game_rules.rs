//! The rules of a game laid open: policies to any depth, actions, measured bytes, and what breaks a rule.

use std::collections::BTreeMap;

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

#[derive(Clone, Copy, Debug, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), rate = 1000, burst = 1000, coalesce = none)]
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
            "Town (everyone, node-wide): at most 28 bytes",
            "round broadcast u64 at most 9 bytes",
            "whisper per_player u64 at most 9 bytes",
            "double computed u64 at most 9 bytes",
            "kept on the server: game_rules::Ledger",
            "event Theft (owner, reliable): at most 512 bytes",
            "silver broadcast u32 at most 5 bytes",
            "thieves broadcast, reveal_ids Vec<NetId> at most 512 bytes",
            "seed server_only u64",
            "action Open scope self, caller player, the newest counts",
            "1 of 1 actions reach no further than a group",
            "note contains_itself Shop.orders.parts: `Order` contains itself: 16 levels of it are told, what lies deeper is not",
            "note reveals_ids Theft.thieves: names entities to viewers who do not see them, as it declares",
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
        json["actions"][0],
        serde_json::json!({
            "name": "Open", "scope": "self", "caller": "player", "latest_wins": true
        })
    );
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

struct Faults;
impl Plugin for Faults {
    fn build(&self, app: &mut App) {
        app.replicate::<Wide>().replicate::<Huge>().replicate::<Silent>().add_global_action::<Tax>(tax);
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
            (FlagKind::Warning, "beyond_an_update", "Wide"),
            (FlagKind::Warning, "wide_broadcast", "Wide.text"),
            (FlagKind::Warning, "personal_in_large_list", "Wide.list"),
            (FlagKind::Warning, "nothing_sent", "Silent"),
            (FlagKind::Warning, "few_local_actions", "actions"),
            (FlagKind::Note, "contains_itself", "Shop.orders.parts"),
            (FlagKind::Note, "contains_itself", "Wide.list.parts"),
            (FlagKind::Note, "reveals_ids", "Wide.leader"),
            (FlagKind::Note, "reveals_ids", "Theft.thieves"),
        ]
    );
    assert!(rules.has_errors());
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
