//! The handler of an action of scope `self` can name nobody else's data, and nobody else.

use terrane::prelude::*;

#[derive(Component, Clone, Default, Replicate)]
struct Purse {
    #[sync(broadcast)]
    silver: u32,
}

#[derive(Clone, Default, Replicate)]
struct News {
    #[sync(broadcast)]
    silver: u32,
}

#[derive(Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Rob {
    whom: PlayerId,
}

fn rob(action: &Rob, _own: &mut Purse, context: &mut OwnContext<'_>) -> Result<(), String> {
    context.get_mut::<Purse>(&action.whom);
    context.change_viewer(action.whom.clone(), |viewer| viewer.set_role(Role::Player));
    context.tell(Audience::Player(action.whom.clone()), News { silver: 1 });
    Ok(())
}

fn rob_by_query(_: &Rob, _own: &mut Purse, _: &mut OwnContext<'_>, _all: Query<&mut Purse>) -> Result<(), String> {
    Ok(())
}

fn rob_the_group(_: &Rob, _all: &mut Group<'_, Purse>, _: &mut GroupContext<'_>) -> Result<(), String> {
    Ok(())
}

fn main() {
    let mut app = App::empty();
    app.add_own_action::<Rob, Purse>(rob);
    app.add_own_action::<Rob, Purse>(rob_by_query);
    app.add_group_action::<Rob, Purse>(rob_the_group);
    app.add_global_action::<Rob>(|_, _| Ok(()));
}
