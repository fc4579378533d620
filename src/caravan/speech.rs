//! What players say: to all who see them, or to their party. It is heard once; who comes later has missed it.

use crate::prelude::*;

use super::walk::Walker;

/// Longest thing to say, bytes.
pub const SAY_BYTES_MAX: usize = 120;

/// Say something to everybody who sees you.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Said, rate = 2, burst = 6, coalesce = none, durability = memory, speaks)]
pub struct Say {
    /// What.
    pub text: String,
}

/// Say something to your party, wherever it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = Said, rate = 1, burst = 6, coalesce = none, durability = memory, speaks)]
pub struct TellParty {
    /// What.
    pub text: String,
}

/// It was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// In which tick.
    pub tick: u64,
}

/// Somebody says something. It is about the speaker's avatar, for those who see that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Replicate)]
pub struct Chat {
    /// The speaker's name: a party hears also those of it whom it does not see.
    #[sync(broadcast, max_bytes = 40)]
    pub by: String,
    /// What is said.
    #[sync(broadcast, max_bytes = 124)]
    pub text: String,
    /// To the party, and not to all around.
    #[sync(broadcast)]
    pub to_party: bool,
}

/// What may be said of a text: without the blanks around it, not empty, not too long, and nothing that moves cursors.
fn plain(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > SAY_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("say 1 to {SAY_BYTES_MAX} bytes of plain text"));
    }
    Ok(text.to_owned())
}

pub(super) fn say(action: &Say, walker: &mut Walker, context: &mut OwnContext<'_>) -> Result<Said, String> {
    context.tell_viewers(Chat { by: walker.name.clone(), text: plain(&action.text)?, to_party: false });
    Ok(Said { tick: context.tick.tick.0 })
}

pub(super) fn tell_party(
    action: &TellParty,
    group: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<Said, String> {
    let text = plain(&action.text)?;
    if context.party().is_none() {
        return Err("you are in no party: nobody would hear it".into());
    }
    context.tell_group(Chat { by: group.caller().name.clone(), text, to_party: true });
    Ok(Said { tick: context.tick.tick.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_too_long_or_writes_to_terminals_is_not_said() {
        assert_eq!(plain("  good evening "), Ok("good evening".to_owned()));
        assert_eq!(plain(&"é".repeat(60)).map(|text| text.len()), Ok(SAY_BYTES_MAX));
        for text in ["", " \t ", &"é".repeat(61), "a\u{1b}[2Jb", "two\nlines"] {
            assert!(plain(text).is_err(), "{text:?}");
        }
    }
}
