//! What stands on the screen: a function of what is in view, without a terminal.

use glam::Vec2;
use terrane::client::compass;

/// Something to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mark {
    /// Where it is, in metres.
    pub(crate) place: Vec2,
    /// How it looks.
    pub(crate) glyph: char,
    /// What people call it, fit for a terminal.
    pub(crate) name: String,
    /// What it says.
    pub(crate) says: String,
    /// What of it is hidden, field by field.
    pub(crate) hidden: Vec<String>,
}

/// All that there is to see.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scene {
    /// What the middle of the map shows.
    pub(crate) centre: Vec2,
    /// How far the map reaches to the left and to the right, in metres.
    pub(crate) reach_m: f32,
    /// Both ends of each road, in metres.
    pub(crate) roads: Vec<[Vec2; 2]>,
    /// What is there whether it is in view or not: the nodes of the map. They stand below everything in view.
    pub(crate) nodes: Vec<Mark>,
    /// Everything in view; what comes later stands above.
    pub(crate) marks: Vec<Mark>,
    /// What was heard last, a line each, the newest last.
    pub(crate) news: Vec<String>,
    /// What is read instead of the map; nothing while there is none.
    pub(crate) page: Vec<String>,
    /// One line about where the player is.
    pub(crate) place: String,
    /// One line about the player.
    pub(crate) status: String,
    /// The line that is being typed.
    pub(crate) typed: String,
}

/// Narrower or lower than this there is no map to be made out.
pub(crate) const SIZE_MIN: (u16, u16) = (20, 6);
/// Columns of the list of names, where there is room for it.
const LIST_COLUMNS: usize = 34;
/// Columns of a map that is worth a list beside it.
const MAP_COLUMNS_MIN: usize = 30;
/// Rows of a map that is worth news below it.
const MAP_ROWS_MIN: usize = 8;
/// Lines of news, where there is room for them.
const NEWS_LINES: usize = 5;
/// So many of the nearest nodes are listed.
const NODES_LISTED: usize = 3;
/// Between two dots of a road, in columns.
const DOT_EVERY: f32 = 2.0;
/// More dots than that has no road: of one that leads far out of the map, only the nearer part is drawn.
const DOTS_MAX: usize = 2_000;

/// The screen, line by line, each exactly as wide as the screen.
pub(crate) fn draw(scene: &Scene, columns: u16, rows: u16) -> Vec<String> {
    let (columns, rows) = (usize::from(columns), usize::from(rows));
    if columns < SIZE_MIN.0.into() || rows < SIZE_MIN.1.into() {
        return (0..rows).map(|row| fit(if row == 0 { "too small" } else { "" }, columns)).collect();
    }
    let list_columns = if columns >= MAP_COLUMNS_MIN + LIST_COLUMNS { LIST_COLUMNS } else { 0 };
    let news = (rows - 3).saturating_sub(MAP_ROWS_MIN).min(NEWS_LINES);
    let (map_columns, map_rows) = (columns - list_columns, rows - 3 - news);
    let mut lines: Vec<String> = if scene.page.is_empty() {
        let map = draw_map(scene, map_columns, map_rows);
        let list = draw_list(scene, list_columns, map_rows);
        map.into_iter().zip(list).map(|(map, list)| map + &list).collect()
    } else {
        let page = scene.page.iter().map(String::as_str).chain(std::iter::repeat(""));
        page.take(map_rows).map(|line| fit(line, columns)).collect()
    };
    let told = scene.news.iter().skip(scene.news.len().saturating_sub(news)).map(String::as_str);
    let told: Vec<&str> = told.chain(std::iter::repeat("")).take(news).collect();
    lines.extend(told.into_iter().map(|line| fit(line, columns)));
    lines.push(fit(&scene.place, columns));
    lines.push(fit(&scene.status, columns));
    lines.push(fit(&format!("> {}", scene.typed), columns));
    lines
}

/// The map: a character is twice as high as it is wide, and so are its metres.
fn draw_map(scene: &Scene, columns: usize, rows: usize) -> Vec<String> {
    let mut cells = vec![vec![' '; columns]; rows];
    let m_per_column = (2.0 * scene.reach_m / columns as f32).max(f32::EPSILON);
    let cell_of = |place: Vec2| {
        let way = place - scene.centre;
        let column = (way.x / m_per_column + columns as f32 / 2.0).floor();
        let row = (rows as f32 / 2.0 - way.y / (2.0 * m_per_column)).floor();
        let is_in = column >= 0.0 && row >= 0.0 && column < columns as f32 && row < rows as f32;
        is_in.then_some((column as usize, row as usize))
    };
    for [from, to] in &scene.roads {
        // From the nearer end, so that what is left out is far away.
        let (from, to) =
            if from.distance(scene.centre) < to.distance(scene.centre) { (*from, *to) } else { (*to, *from) };
        let dots = (from.distance(to) / (DOT_EVERY * m_per_column)).min(DOTS_MAX as f32) as usize;
        let step = (to - from).normalize_or_zero() * DOT_EVERY * m_per_column;
        for (column, row) in (0..dots).filter_map(|dot| cell_of(from + step * dot as f32)) {
            cells[row][column] = '.';
        }
    }
    let marks = scene.nodes.iter().chain(&scene.marks);
    let places: Vec<_> = marks.filter_map(|mark| Some((mark, cell_of(mark.place)?))).collect();
    // Glyphs are never written over; names only where nothing else stands.
    for &(mark, (column, row)) in &places {
        cells[row][column] = mark.glyph;
    }
    for &(mark, (column, row)) in places.iter().rev() {
        let says = if mark.says.is_empty() { String::new() } else { format!(": {}", mark.says) };
        let label: Vec<char> = format!("{}{says}", mark.name).chars().map(narrow).collect();
        let Some(room) = cells[row].get_mut(column + 1..) else { continue };
        // A road may be written over.
        let free = room.iter().take_while(|&&cell| matches!(cell, ' ' | '.')).count();
        // A blank stays between it and what follows.
        let length = label.len().min(if free == room.len() { free } else { free.saturating_sub(1) });
        room[..length].copy_from_slice(&label[..length]);
    }
    cells.into_iter().map(String::from_iter).collect()
}

/// The nearest, with how far and where they are, and what of them is hidden.
fn draw_list(scene: &Scene, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if columns > 0 {
        let nearest = |marks: &'_ [Mark], most: usize| {
            let mut all: Vec<(f32, Mark)> =
                marks.iter().map(|mark| (mark.place.distance(scene.centre), mark.clone())).collect();
            all.sort_by(|(a, mark_a), (b, mark_b)| {
                a.total_cmp(b).then_with(|| mark_a.name.cmp(&mark_b.name))
            });
            all.truncate(most);
            all
        };
        let nodes = nearest(&scene.nodes, NODES_LISTED);
        let marks = nearest(&scene.marks, rows.saturating_sub(nodes.len()));
        for (distance_m, mark) in nodes.into_iter().chain(marks) {
            let way = mark.place - scene.centre;
            let point = if way == Vec2::ZERO { String::new() } else { compass::point(compass::bearing(way)) };
            lines.push(format!("| {} {} {distance_m:.0} m {point}", mark.glyph, mark.name));
            lines.extend(mark.hidden.iter().map(|path| format!("|     {path}: ???")));
        }
    }
    lines.resize(rows, if columns > 0 { "|".into() } else { String::new() });
    lines.iter().map(|line| fit(line, columns)).collect()
}

/// A character that takes one column: what terminals may draw wider or narrower becomes a question mark.
fn narrow(c: char) -> char {
    if c < '\u{300}' && c != '\u{ad}' { c } else { '?' }
}

/// Cut or filled up to so many characters.
fn fit(text: &str, columns: usize) -> String {
    let cut: String = text.chars().map(narrow).take(columns).collect();
    format!("{cut:<columns$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(x: f32, y: f32, glyph: char, name: &str) -> Mark {
        Mark { place: Vec2::new(x, y), glyph, name: name.into(), ..Mark::default() }
    }

    fn scene(marks: Vec<Mark>) -> Scene {
        Scene { reach_m: 20.0, marks, status: "here".into(), typed: "say hi".into(), ..Scene::default() }
    }

    #[test]
    fn north_is_up_east_is_right_and_a_row_is_worth_two_columns() {
        let marks = vec![mark(0.0, 0.0, '@', ""), mark(10.0, 0.0, 'e', ""), mark(0.0, 10.0, 'n', "")];
        let lines = draw(&scene(marks), 40, 22);
        let place_of = |glyph: char| {
            let (row, line) =
                lines.iter().enumerate().find(|(_, line)| line[..].contains(glyph)).expect("drawn");
            (line.find(glyph).expect("in it"), row)
        };
        assert_eq!(place_of('@'), (20, 7));
        assert_eq!(place_of('e'), (30, 7));
        assert_eq!(place_of('n'), (20, 2));
    }

    #[test]
    fn every_line_is_as_wide_as_the_screen_whatever_its_size() {
        let marks = (0..50u16).map(|n| mark(f32::from(n) - 25.0, f32::from(n % 9), 'c', "Ünï漢字")).collect();
        let scene = Scene { status: "s".repeat(300), ..scene(marks) };
        for (columns, rows) in [(0, 0), (1, 1), (19, 30), (20, 6), (40, 10), (63, 24), (64, 24), (200, 60)] {
            let lines = draw(&scene, columns, rows);
            assert_eq!(lines.len(), usize::from(rows));
            for line in lines {
                assert_eq!(line.chars().count(), usize::from(columns), "{columns} × {rows}: {line:?}");
                assert!(!line.contains('漢'), "it would take two columns");
            }
        }
    }

    #[test]
    fn what_is_hidden_is_drawn_as_such_beside_its_name() {
        let mut caravan = mark(3.0, 4.0, 'c', "Caravan 7");
        caravan.hidden = vec!["purse".into()];
        let lines = draw(&scene(vec![mark(0.0, 0.0, '@', "ann"), caravan]), 100, 24);
        assert!(lines[0].contains("| @ ann 0 m"), "{}", lines[0]);
        assert!(lines[1].contains("| c Caravan 7 5 m NE"), "{}", lines[1]);
        assert!(lines[2].contains("|     purse: ???"), "{}", lines[2]);
        assert!(lines[23].starts_with("> say hi"));
    }

    #[test]
    fn names_cover_no_glyph_and_what_is_out_of_reach_is_not_drawn() {
        let marks =
            vec![mark(0.0, 0.0, '@', "long name"), mark(4.0, 0.0, 'c', "b"), mark(500.0, 0.0, 'X', "far")];
        let lines = draw(&scene(marks), 40, 12);
        assert!(lines[4].contains("@lo cb"), "{:?}", lines[4]);
        assert!(lines.iter().all(|line| !line.contains('X')));
    }

    /// What a player heard stands below the map, the newest last, and a page takes the place of the map until it is put away.
    #[test]
    fn news_stand_below_the_map_and_a_page_in_its_place() {
        let mut scene = scene(vec![mark(0.0, 0.0, '@', "ann")]);
        scene.news = (0..9).map(|number| format!("news {number}")).collect();
        scene.place = "Saltmouth: salt 6".into();
        let lines = draw(&scene, 80, 24);
        assert!(lines[16].starts_with("news 4") && lines[20].starts_with("news 8"), "{lines:#?}");
        assert!(lines[21].starts_with("Saltmouth: salt 6") && lines[22].starts_with("here"));
        assert!(lines[..16].iter().any(|line| line.contains('@')));
        scene.page = vec!["walk DIR".into(), "stop".into()];
        let lines = draw(&scene, 80, 24);
        assert!(lines[0].starts_with("walk DIR ") && lines[1].starts_with("stop "));
        assert!(lines[..16].iter().all(|line| !line.contains('@')));
    }

    /// Roads are dots below everything else, and the nearest nodes are listed with how far they are, in view or not.
    #[test]
    fn roads_lie_below_and_the_nearest_nodes_are_listed() {
        let mut scene = scene(vec![mark(0.0, 0.0, '@', "")]);
        scene.roads = vec![[Vec2::new(-300.0, 0.0), Vec2::new(9.0, 0.0)]];
        scene.nodes = (1..9u16).map(|n| mark(f32::from(n) * 100.0, 0.0, 'O', &format!("Town {n}"))).collect();
        let lines = draw(&scene, 100, 24);
        // Before the list of what is near.
        let map = |line: &str| line.split_once('|').map_or(String::new(), |(map, _)| map.to_owned());
        let row = lines.iter().map(|line| map(line)).find(|map| map.contains('@')).expect("drawn");
        let (before, after) = row.split_once('@').expect("in it");
        assert!(before.matches('.').count() > 10 && after.contains(". ."), "{row:?}");
        assert!(lines[0].contains("| O Town 1 100 m E") && lines[2].contains("Town 3"), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains("Town 4")), "only the nearest");
    }

    #[test]
    fn what_is_nowhere_disturbs_nothing() {
        let lines = draw(&scene(vec![mark(f32::NAN, f32::INFINITY, 'X', "nobody")]), 40, 12);
        assert!(lines[..10].iter().all(|line| !line.contains('X')));
    }
}
