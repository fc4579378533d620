#!/bin/sh
# Shows that audits find what they are for: builds a world that goes wrong on request, lets a swarm play in it, and
# expects the swarm to fail for that reason, and only then. Takes cargo's profile flags, such as --release.
set -eu
cd "$(dirname "$0")/.."

# One build of both, so that they share the library.
build="cargo build -p terrane -p swarm --features terrane/planted-faults"
$build "$@"
programs=$($build "$@" --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/\)terrane".*/\1/p' | head -n 1)
saves=$(mktemp -d)
world=
trap '[ -z "$world" ] || kill "$world" 2>/dev/null || true; rm -rf "$saves"' EXIT

# expect FAULT EXIT: a world with this fault makes the swarm end with this code.
expect() {
    unset TERRANE_PLANTED_FAULT
    [ "$1" = none ] || export TERRANE_PLANTED_FAULT="$1"
    "${programs}terrane" --saves "$saves" --name "$1" --listen 127.0.0.1:0 --http off \
        --npcs 3000 --audit-every 5 --log warn 2>"$saves/$1.log" &
    world=$!
    tries=0
    until [ -s "$saves/$1/run.json" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "$world" 2>/dev/null; then
            echo "the world did not start:"; cat "$saves/$1.log"; exit 1
        fi
        sleep 0.1
    done
    server=$(sed -n 's/.*"shards": *\["\([^"]*\)".*/\1/p' "$saves/$1/run.json")
    code=0
    unset TERRANE_PLANTED_FAULT
    "${programs}swarm" --server "$server" --clients 20 --seconds 10 --profile caravan --json >"$saves/result" || code=$?
    kill -INT "$world"
    wait "$world" || true
    world=
    failures=$(sed -n 's/.*"audit_failures":\([0-9]*\).*/\1/p' "$saves/result")
    if [ "$code" -ne "$2" ] || { [ "$2" -eq 1 ] && [ "$failures" -eq 0 ]; }; then
        echo "planted fault $1: the swarm ended with $code and $failures audit failures, expected $2"
        exit 1
    fi
    echo "planted fault $1: exit $code, $failures audit failures, as expected"
}

expect none 0
expect wrong-field 1
expect skipped-leave 1
expect withheld-field 1
# Everybody is told the same, so only the server can find it.
expect stale-row 0
grep -q "a row is not what its entity is" "$saves/stale-row.log" || {
    echo "planted fault stale-row: the server did not notice"; exit 1
}
echo "planted fault stale-row: found by the server, as expected"
for fault in left-out-mask left-out-policy; do
    expect "$fault" 0
    case $fault in
    left-out-mask) what="told to all otherwise than its policy says" ;;
    *) what="told to a player otherwise than its policies say" ;;
    esac
    grep "$what" "$saves/$fault.log" | grep -q "field=\"*[A-Z][a-z]*\.[a-z].*entity=.*players=" || {
        echo "planted fault $fault: the server did not name it:"; cat "$saves/$fault.log"; exit 1
    }
    echo "planted fault $fault: found and named by the server, as expected"
done
