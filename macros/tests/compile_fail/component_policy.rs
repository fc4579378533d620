use terrane_macros::Replicate;

#[derive(Replicate)]
#[sync(role = Captain)]
struct UnknownRole;

#[derive(Replicate)]
#[sync(role = Player)]
struct EveryRole;

#[derive(Replicate)]
#[sync(role)]
struct NoRole;

#[derive(Replicate)]
#[sync(role = 3)]
struct NumberedRole;

#[derive(Replicate)]
#[sync(owner, party)]
struct TwoPolicies;

#[derive(Replicate)]
#[sync(owner)]
#[sync(team)]
struct TwoAttributes;

#[derive(Replicate)]
#[sync(custom)]
struct NoFunction;

#[derive(Replicate)]
#[sync(owner = alice)]
struct NoSuchValue;

#[derive(Replicate)]
#[sync(broadcast)]
struct FieldPolicy;

#[derive(Replicate)]
#[sync(max_bytes = 64)]
struct BoundedStruct;

#[derive(Replicate)]
#[sync(server_only, max_bytes = 64)]
enum SilentEnum {
    One,
}

fn main() {}
