//! Directions as people say them: degrees clockwise from north, and the points of the compass.

use glam::Vec2;

/// The points, from north clockwise.
const POINTS: [(&str, &str); 8] = [
    ("n", "north"),
    ("ne", "northeast"),
    ("e", "east"),
    ("se", "southeast"),
    ("s", "south"),
    ("sw", "southwest"),
    ("w", "west"),
    ("nw", "northwest"),
];

/// The bearing of a way, degrees clockwise from north (+y), 0 to below 360.
#[must_use]
pub fn bearing(way: Vec2) -> f32 {
    (90.0 - way.to_angle().to_degrees()).rem_euclid(360.0)
}

/// The heading, radians counter-clockwise from east, of a bearing in degrees.
#[must_use]
pub fn heading(bearing: f32) -> f32 {
    (90.0 - bearing).to_radians().rem_euclid(std::f32::consts::TAU)
}

/// The nearest point of the compass: `NE`.
#[must_use]
pub fn point(bearing: f32) -> String {
    let index = (bearing / 45.0).round() as usize % POINTS.len();
    POINTS[index].0.to_uppercase()
}

/// The bearing that a word or a number of degrees names.
///
/// # Errors
/// When it names none; says what does.
pub fn parse(text: &str) -> Result<f32, String> {
    let word = text.to_lowercase();
    if let Some(index) = POINTS.iter().position(|(short, long)| *short == word || *long == word) {
        return Ok(index as f32 * 45.0);
    }
    match word.parse::<f32>() {
        Ok(degrees) if degrees.is_finite() => Ok(degrees.rem_euclid(360.0)),
        _ => Err(format!("`{text}` is no direction: expected n, ne, east … or degrees clockwise from north")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearings_count_clockwise_from_north() {
        assert_eq!(bearing(Vec2::Y), 0.0);
        assert!((bearing(Vec2::X) - 90.0).abs() < 1e-3);
        assert!((bearing(Vec2::NEG_X) - 270.0).abs() < 1e-3);
        assert_eq!(point(bearing(Vec2::new(1.0, 1.0))), "NE");
        assert_eq!(point(359.0), "N");
    }

    #[test]
    fn a_heading_leads_where_its_bearing_points() {
        for degrees in [0.0, 45.0, 123.0, 270.0, 359.0] {
            let way = Vec2::from_angle(heading(degrees));
            assert!((bearing(way) - degrees).abs() < 1e-2, "{degrees}");
        }
    }

    #[test]
    fn words_and_degrees_are_understood() {
        assert_eq!(parse("N"), Ok(0.0));
        assert_eq!(parse("southwest"), Ok(225.0));
        assert_eq!(parse("-90"), Ok(270.0));
        let message = parse("up").unwrap_err();
        assert_eq!(message, "`up` is no direction: expected n, ne, east … or degrees clockwise from north");
        assert!(parse("NaN").is_err());
    }
}
