//! What leads back to itself.

use std::collections::BTreeMap;

/// The first way, by names, that leads from something back to it; `None` where there is none. Each step is (from, to); a step
/// to what has none of its own leads nowhere. O(steps × log).
pub(super) fn find<'n>(steps: &[(&'n str, &'n str)]) -> Option<Vec<&'n str>> {
    let mut onward = BTreeMap::<&str, Vec<&str>>::new();
    for &(from, to) in steps {
        onward.entry(from).or_default().push(to);
    }
    let mut done = BTreeMap::<&str, bool>::new();
    let starts: Vec<&str> = onward.keys().copied().collect();
    for start in starts {
        if done.contains_key(start) {
            continue;
        }
        // Depth first, without recursion: a list may be long. `done` is false for what is on the way.
        let mut way = vec![(start, 0)];
        done.insert(start, false);
        while let Some((at, next)) = way.last_mut() {
            let Some(&to) = onward.get(at).and_then(|to| to.get(*next)) else {
                done.insert(at, true);
                way.pop();
                continue;
            };
            *next += 1;
            match done.get(to) {
                Some(true) => {}
                Some(false) => {
                    let from = way.iter().position(|(name, _)| *name == to).unwrap_or(0);
                    let mut circle: Vec<&str> = way[from..].iter().map(|(name, _)| *name).collect();
                    circle.push(to);
                    return Some(circle);
                }
                None => {
                    done.insert(to, false);
                    way.push((to, 0));
                }
            }
        }
    }
    None
}
