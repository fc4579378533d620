"""What the ledger of a save of the shipped game must say by the rules of the game: who may pay whom for what, and how much. Double entry
holds whatever the rules do, so it is not asked for here. Used by economy_drill.py; needs nothing but Python 3."""

import sqlite3

GOODS = ("salt", "iron", "glass", "wine", "silk")
PLAYER, MARKET = "player", "market/"
BANDS = ("bandits", "wardens", "smugglers", "guilds")
LOOT = {(band, PLAYER) for band in BANDS}
LOST = {(PLAYER, band) for band in BANDS}

# Of silver and of goods: from whom and to whom they may go, by use case. What begins with the name of a house is that house.
FLOWS = {
    "silver": {
        "buy": {(PLAYER, MARKET)},
        "sell": {(MARKET, PLAYER)},
        "bounty": {(MARKET, PLAYER), ("bandits", PLAYER)},
        "hire": {(PLAYER, MARKET)},
        "mend": {(PLAYER, MARKET)},
        "errand": {("guild", PLAYER), ("bandits", PLAYER)},
        # Whose character dies in one leaves all that it has, as with its end.
        "battle": LOOT | LOST | {(PLAYER, "treasury")},
        "welcome": {("treasury", PLAYER)},
        "create-character": {("treasury", PLAYER), (PLAYER, "treasury")},
        "delete-character": {(PLAYER, "treasury")},
    },
    "goods": {
        "buy": {(MARKET, PLAYER)},
        "sell": {(PLAYER, MARKET)},
        "bounty": {(PLAYER, MARKET), ("bandits", PLAYER)},
        "errand": {(PLAYER, MARKET), ("bandits", PLAYER)},
        "battle": LOOT | LOST | {(PLAYER, "limbo")},
        "create-character": {("treasury", PLAYER)},
        "delete-character": {(PLAYER, "limbo")},
    },
    # What a player was given when it came, until its first character begins.
    "gift": {
        "welcome": {("treasury", PLAYER)},
        "create-character": {(PLAYER, "treasury")},
    },
}
# A load costs at most twice what it usually costs where it is wanted, and a tenth of that for the node.
PRICE_TIMES_MAX = 2 * 1.3 * 1.1
BOUNTY_LOADS, ERRAND_LOADS_MAX, WAY_SILVER = 3, 3, 10
# What is handed in at a node was not bought there for so long.
BOUGHT_MS = 30 * 60 * 1_000
# What skills add to the pay of an errand, at most, as many times as much.
PAY_TIMES_MAX = 3

ROWS = """
    SELECT claim.id, claim.use_case, claim.now_ms, asset.name, giver.kind, giver.name, receiver.kind, receiver.name, ledger.amount
    FROM ledger JOIN claim ON claim.id = ledger.claim JOIN asset ON asset.id = ledger.asset
    JOIN account AS giver ON giver.id = ledger.from_account JOIN account AS receiver ON receiver.id = ledger.to_account
    WHERE 'player' IN (giver.kind, receiver.kind) ORDER BY claim.id, ledger.position"""


def side(kind, name):
    """Which side of a flow an account is."""
    if kind == "player":
        return PLAYER
    return MARKET if name.startswith(MARKET) else name


def whole_claim(use_case, rows, usual):
    """What is wrong with the silver and goods of one claim, by what its use case says."""
    silver = [(giver, receiver, amount) for asset, giver, receiver, amount in rows if asset == "silver"]
    goods = [(asset, giver, receiver, amount) for asset, giver, receiver, amount in rows if asset in GOODS]
    if use_case in ("buy", "sell"):
        if len(silver) != 1 or len(goods) != 1:
            return f"{len(silver)} payments for {len(goods)} goods"
        (good, _, _, loads), (_, _, paid) = goods[0], silver[0]
        if paid % loads or not 1 <= paid // loads <= PRICE_TIMES_MAX * usual[good] + 1:
            return f"{paid} silver for {loads} {good}, which usually costs {usual[good]}"
    handed = [(good, loads) for good, giver, _, loads in goods if giver == PLAYER]
    if use_case == "bounty":
        paid = sum(amount for giver, _, amount in silver if giver == MARKET)
        if len(handed) != 1 or handed[0][1] != BOUNTY_LOADS or paid != 2 * usual[handed[0][0]] * BOUNTY_LOADS:
            return f"{paid} silver for {handed}"
    if use_case == "errand":
        paid = sum(amount for giver, _, amount in silver if giver == "guild")
        if len(handed) != 1 or not 1 <= handed[0][1] <= ERRAND_LOADS_MAX:
            return f"{handed} were brought"
        least = 2 * usual[handed[0][0]] * handed[0][1] + WAY_SILVER
        if not least <= paid <= PAY_TIMES_MAX * least:
            return f"{paid} silver for {handed}"
    return None


def against_the_rules(path):
    """What the ledger says that the rules of the game do not allow, a line each; and how many claims were looked at."""
    file = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    usual = {name: price for name, price in file.execute(
        "SELECT name, row ->> 'price' FROM reference WHERE kind = 'good'")}
    wrong, claims, welcomed, bought = [], {}, {}, {}
    for claim, use_case, now_ms, asset, giver_kind, giver, receiver_kind, receiver, amount in file.execute(ROWS):
        flow = (side(giver_kind, giver), side(receiver_kind, receiver))
        of = asset if asset in ("silver", "gift") else "goods" if asset in GOODS else None
        if of and flow not in FLOWS[of].get(use_case, ()):
            wrong.append(f"claim {claim}: {use_case} moves {amount} {asset} from {giver} to {receiver}")
        if use_case == "welcome" and of == "silver":
            welcomed[receiver] = welcomed.get(receiver, 0) + 1
        if use_case == "buy" and of == "goods":
            bought[receiver, giver, asset] = now_ms
        if use_case in ("bounty", "errand") and flow == (PLAYER, MARKET) and of == "goods":
            since_ms = now_ms - bought.get((giver, receiver, asset), now_ms - BOUGHT_MS)
            if since_ms < BOUGHT_MS:
                wrong.append(f"claim {claim}: {use_case}: {giver} bought {asset} at {receiver} {since_ms} ms before")
        claims.setdefault(claim, (use_case, []))[1].append((asset, *flow, amount))
    for claim, (use_case, rows) in claims.items():
        complaint = whole_claim(use_case, rows, usual)
        if complaint:
            wrong.append(f"claim {claim}: {use_case}: {complaint}")
    wrong += [f"{player} was welcomed {times} times" for player, times in welcomed.items() if times > 1]
    # What a store has is what it opened with and what its house has taken in: never fewer loads than none.
    wrong += [f"{market} has {loads} {good}" for market, good, loads in file.execute(
        "SELECT stock.market, stock.good, stock.opened + coalesce((SELECT sum(holding.amount) FROM holding"
        " JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset"
        " WHERE account.kind = 'house' AND account.name = stock.market AND asset.name = stock.good), 0) AS loads"
        " FROM game_caravan_stock AS stock WHERE loads < 0")]
    file.close()
    return wrong, len(claims)


def plant(path):
    """Gives who bought something last ten silver more from the market, in a purchase: both sides of it, so that double entry holds."""
    file = sqlite3.connect(path)
    claim, player, market, silver, position = file.execute(
        "SELECT claim.id, ledger.from_account, ledger.to_account, ledger.asset,"
        " (SELECT max(position) + 1 FROM ledger AS other WHERE other.claim = claim.id) FROM claim"
        " JOIN ledger ON ledger.claim = claim.id JOIN asset ON asset.id = ledger.asset AND asset.name = 'silver'"
        " WHERE claim.use_case = 'buy' ORDER BY claim.id DESC LIMIT 1").fetchone()
    file.execute("INSERT INTO ledger (claim, position, asset, expires_ms, instance, from_account, to_account, amount)"
                 " VALUES (?, ?, ?, 0, 0, ?, ?, 10)", (claim, position, silver, market, player))
    for account, change in ((player, 10), (market, -10)):
        changed = file.execute("UPDATE holding SET amount = amount + ? WHERE account = ? AND asset = ? AND instance = 0",
                               (change, account, silver)).rowcount
        if changed == 0:
            file.execute("INSERT INTO holding (account, asset, expires_ms, instance, amount) VALUES (?, ?, 0, 0, ?)",
                         (account, silver, change))
    file.commit()
    file.close()
