//! The map: trade nodes, and the roads between them.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::prelude::*;

/// A place where caravans stop.
#[derive(Clone, Debug, PartialEq)]
pub struct TradeNode {
    /// Its name.
    pub name: String,
    /// Its name in the save: lower-case letters, digits and dashes.
    pub slug: String,
    /// Where it is, on the ground.
    pub place: Vec3,
    /// The nodes at the other ends of its roads, ascending.
    pub neighbours: Vec<NodeId>,
}

/// Index of a node in the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

/// The road network. Every node can be reached from every other.
#[derive(Clone, Debug, PartialEq)]
pub struct Roads {
    /// All nodes.
    pub nodes: Vec<TradeNode>,
}

/// Why a map cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoadError {
    /// The file cannot be read.
    #[error("{file}: {detail}: check the path")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        detail: String,
    },
    /// The file is not a map, or the map makes no sense.
    #[error("{file}:{line}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// Most characters of a node's name in the save.
const SLUG_BYTES_MAX: usize = 40;

fn slug_of(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(fit).collect()
}

/// The map that comes with the game.
const SHIPPED_FILE: &str = "assets/config/roads.toml";
const SHIPPED: &str = include_str!("../../assets/config/roads.toml");

/// The largest world there can be, for those who need a map but not its world.
pub const EVERYWHERE: Area = Area { min: Vec2::ZERO, max: Vec2::splat(crate::limits::WORLD_EDGE_M_MAX) };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MapFile {
    node: Vec<NodeEntry>,
    road: Vec<toml::Spanned<[String; 2]>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    name: toml::Spanned<String>,
    x: f32,
    y: f32,
}

impl Roads {
    /// The map that comes with the game, for programs that are far from its files.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn shipped() -> Self {
        Self::parse(SHIPPED_FILE, SHIPPED, EVERYWHERE).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The map of a world: `roads.toml` beside its configuration file, or the one that comes with the game where
    /// there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or the map is faulty or too large for the world.
    pub fn of_world(config_file: Option<&Path>, world: Area) -> Result<Self, RoadError> {
        let beside = config_file.and_then(Path::parent).map(|folder| folder.join("roads.toml"));
        if let Some(file) = beside.filter(|file| file.exists()) {
            return Self::load(&file, world);
        }
        Self::parse(SHIPPED_FILE, SHIPPED, world).map_err(|error| match error {
            RoadError::Invalid { file, line, problem } => {
                let advice = "this map comes with the game: put a roads.toml for this world beside its \
                              configuration file";
                RoadError::Invalid { file, line, problem: format!("{problem}; {advice}") }
            }
            unreadable => unreadable,
        })
    }

    /// Reads and checks a map for a world of this size.
    ///
    /// # Errors
    /// When the file cannot be read or the map is faulty.
    pub fn load(file: &Path, world: Area) -> Result<Self, RoadError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| RoadError::Unreadable { file: name.clone(), detail: error.to_string() })?;
        Self::parse(&name, &text, world)
    }

    /// Checks the text of a map.
    ///
    /// # Errors
    /// When it is faulty; names the line.
    pub fn parse(file: &str, text: &str, world: Area) -> Result<Self, RoadError> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let invalid = |at: usize, problem: String| RoadError::Invalid {
            file: file.to_owned(),
            line: line_of(at),
            problem,
        };
        let map: MapFile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            invalid(at, error.message().to_owned())
        })?;
        let count = map.node.len();
        if count < 2 || count > usize::from(u16::MAX) {
            return Err(invalid(0, format!("{count} nodes: expected 2 to {}", u16::MAX)));
        }
        let mut nodes: Vec<TradeNode> = Vec::new();
        for entry in &map.node {
            let at = entry.name.span().start;
            let name = entry.name.get_ref().clone();
            let place = Vec3::new(entry.x, entry.y, 0.0);
            if nodes.iter().any(|node| node.name == name) {
                return Err(invalid(at, format!("there are two nodes `{name}`: give each its own name")));
            }
            if !place.is_finite() || !world.contains(place) {
                let size = world.size();
                let problem = format!(
                    "node `{name}` lies outside of the world: expected 0 <= x < {} and 0 <= y < {}",
                    size.x, size.y
                );
                return Err(invalid(at, problem));
            }
            let slug = slug_of(&name);
            if slug.len() > SLUG_BYTES_MAX || slug.bytes().all(|byte| byte == b'-') {
                let problem = format!(
                    "node `{name}`: expected a name with letters or digits, of at most {SLUG_BYTES_MAX} characters"
                );
                return Err(invalid(at, problem));
            }
            if let Some(other) = nodes.iter().find(|node| node.slug == slug) {
                let problem = format!(
                    "`{name}` and `{}` would share one store: make their names differ more",
                    other.name
                );
                return Err(invalid(at, problem));
            }
            nodes.push(TradeNode { name, slug, place, neighbours: Vec::new() });
        }
        let mut joined = BTreeSet::new();
        for road in &map.road {
            let at = road.span().start;
            let ends = road.get_ref();
            let find = |name: &String| {
                let place = nodes.iter().position(|node| node.name == *name);
                place.ok_or_else(|| {
                    invalid(
                        at,
                        format!("a road leads to `{name}`, which is no node: add it or correct the name"),
                    )
                })
            };
            let (a, b) = (find(&ends[0])?, find(&ends[1])?);
            if a == b {
                return Err(invalid(at, format!("a road leads from `{}` to itself: remove it", ends[0])));
            }
            if !joined.insert((a.min(b), a.max(b))) {
                let [a, b] = ends;
                return Err(invalid(at, format!("there are two roads between `{a}` and `{b}`: remove one")));
            }
            for (from, to) in [(a, b), (b, a)] {
                nodes[from].neighbours.push(NodeId(to as u16));
            }
        }
        for node in &mut nodes {
            node.neighbours.sort_unstable();
        }
        let roads = Self { nodes };
        if let Some(lonely) = roads.unreachable() {
            let node = &map.node[usize::from(lonely.0)].name;
            let problem = format!("no road leads to node `{}`: connect it or remove it", node.get_ref());
            return Err(invalid(node.span().start, problem));
        }
        Ok(roads)
    }

    /// The node with an index of this map.
    ///
    /// # Panics
    /// When the index is of another map.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &TradeNode {
        &self.nodes[usize::from(id.0)]
    }

    /// The node of this name in the save. O(nodes).
    #[must_use]
    pub fn named(&self, slug: &str) -> Option<NodeId> {
        (0..).map(NodeId).zip(&self.nodes).find(|(_, node)| node.slug == slug).map(|(node, _)| node)
    }

    /// A number of this map: another one has another. Whatever is saved with indices of nodes is saved with it, since a world may begin
    /// again with another map, of which the indices say nothing. O(nodes and roads).
    #[must_use]
    pub fn version(&self) -> u64 {
        let mut text = String::new();
        for node in &self.nodes {
            let place = node.place.to_array().map(f32::to_bits);
            text.push_str(&format!("{} {place:?} {:?}\n", node.slug, node.neighbours));
        }
        Random::named(0, &text).bits()
    }

    /// The node nearest to a place, of those within this distance, m. O(nodes).
    #[must_use]
    pub fn nearest(&self, place: Vec2, within_m: f32) -> Option<NodeId> {
        let distances = self.nodes.iter().map(|node| node.place.truncate().distance(place));
        let near = (0..).map(NodeId).zip(distances).filter(|&(_, distance)| distance <= within_m);
        near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(node, _)| node)
    }

    fn unreachable(&self) -> Option<NodeId> {
        let mut seen = BTreeSet::from([NodeId(0)]);
        let mut next = vec![NodeId(0)];
        while let Some(node) = next.pop() {
            next.extend(self.node(node).neighbours.iter().filter(|&&neighbour| seen.insert(neighbour)));
        }
        (0..self.nodes.len() as u16).map(NodeId).find(|node| !seen.contains(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: Area = Area { min: Vec2::ZERO, max: Vec2::new(100.0, 100.0) };

    fn problem(text: &str) -> String {
        Roads::parse("roads.toml", text, WORLD).unwrap_err().to_string()
    }

    const TWO: &str = "[[node]]\nname = \"a\"\nx = 1\ny = 1\n[[node]]\nname = \"b\"\nx = 9\ny = 9\n";

    #[test]
    fn a_map_is_read_with_roads_in_both_directions() {
        let roads = Roads::parse("roads.toml", &format!("road = [[\"a\", \"b\"]]\n{TWO}"), WORLD).unwrap();
        assert_eq!(roads.node(NodeId(0)).neighbours, [NodeId(1)]);
        assert_eq!(roads.node(NodeId(1)).neighbours, [NodeId(0)]);
    }

    /// Maps that differ in a name, a place, a road or the order of their nodes have different numbers, and one has the same each time.
    #[test]
    fn maps_are_told_apart() {
        let read = |text: &str| Roads::parse("roads.toml", text, WORLD).unwrap();
        let text =
            format!("road = [[\"a\", \"b\"], [\"b\", \"c\"]]\n{TWO}[[node]]\nname = \"c\"\nx = 5\ny = 5\n");
        let mut exchanged = read(&text);
        exchanged.nodes.swap(0, 1);
        let others = [
            exchanged,
            read(&text.replace("\"c\"", "\"d\"")),
            read(&text.replace("x = 5", "x = 6")),
            read(&text.replace("[\"b\", \"c\"]", "[\"a\", \"c\"]")),
        ];
        let roads = read(&text);
        assert_eq!(roads.version(), read(&text).version());
        assert_eq!((roads.named("c"), roads.named("d")), (Some(NodeId(2)), None));
        for other in others {
            assert_ne!(roads.version(), other.version(), "{other:?}");
        }
    }

    #[test]
    fn the_map_that_comes_with_the_game_is_sound() {
        assert_eq!(Roads::shipped().nodes.len(), 17);
    }

    /// A configuration anywhere runs: a map of its own is used where there is one, and the game's elsewhere.
    #[test]
    fn a_world_has_the_map_beside_its_configuration_or_the_games_own() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("world.toml");
        assert_eq!(Roads::of_world(None, EVERYWHERE), Ok(Roads::shipped()));
        assert_eq!(Roads::of_world(Some(&config), EVERYWHERE), Ok(Roads::shipped()));
        std::fs::write(folder.path().join("roads.toml"), format!("road = [[\"a\", \"b\"]]\n{TWO}")).unwrap();
        assert_eq!(Roads::of_world(Some(&config), EVERYWHERE).unwrap().nodes.len(), 2);
        let message = Roads::of_world(None, WORLD).unwrap_err().to_string();
        assert!(message.contains("lies outside") && message.contains("put a roads.toml"), "{message}");
    }

    #[test]
    fn every_fault_of_a_map_is_told_with_its_line() {
        assert_eq!(
            problem(&format!("road = [[\"a\", \"c\"]]\n{TWO}")),
            "roads.toml:1: a road leads to `c`, which is no node: add it or correct the name"
        );
        assert_eq!(
            problem(&format!("road = [[\"a\", \"a\"]]\n{TWO}")),
            "roads.toml:1: a road leads from `a` to itself: remove it"
        );
        assert_eq!(
            problem(&format!("road = [[\"a\", \"b\"],\n[\"a\", \"b\"]]\n{TWO}")),
            "roads.toml:2: there are two roads between `a` and `b`: remove one"
        );
        assert_eq!(
            problem(&format!("road = [[\"a\", \"b\"],\n[\"b\", \"a\"]]\n{TWO}")),
            "roads.toml:2: there are two roads between `b` and `a`: remove one"
        );
        assert_eq!(
            problem(&format!("road = []\n{TWO}")),
            "roads.toml:7: no road leads to node `b`: connect it or remove it"
        );
        assert_eq!(
            problem(&format!("road = []\n{}", TWO.replace("x = 9", "x = 900"))),
            "roads.toml:7: node `b` lies outside of the world: expected 0 <= x < 100 and 0 <= y < 100"
        );
        for beyond in ["-1", "100", "inf", "nan"] {
            let outside =
                "roads.toml:7: node `b` lies outside of the world: expected 0 <= x < 100 and 0 <= y < 100";
            assert_eq!(
                problem(&format!("road = []\n{}", TWO.replace("y = 9", &format!("y = {beyond}")))),
                outside
            );
        }
        let many: String =
            (0..=u16::MAX).map(|number| format!("[[node]]\nname = \"{number}\"\nx = 1\ny = 1\n")).collect();
        assert_eq!(problem(&format!("road = []\n{many}")), "roads.toml:1: 65536 nodes: expected 2 to 65535");
        for (other, line, told) in [
            (format!("road = []\nhills = 1\n{TWO}"), 2, "unknown field `hills`"),
            (
                format!("road = []\n{}", TWO.replace("x = 9", "x = 9\nheight = 9")),
                9,
                "unknown field `height`",
            ),
            (format!("road = []\n{}", TWO.replace("x = 9", "")), 6, "missing field `x`"),
            (format!("road = [[\"a\"]]\n{TWO}"), 1, "invalid length 1"),
            (format!("road = []]\n{TWO}"), 1, ""),
        ] {
            let problem = problem(&other);
            assert!(problem.starts_with(&format!("roads.toml:{line}: {told}")), "{problem}");
        }
        assert_eq!(
            problem(&format!("road = []\n{}", TWO.replace("\"b\"", "\"a\""))),
            "roads.toml:7: there are two nodes `a`: give each its own name"
        );
    }
}
