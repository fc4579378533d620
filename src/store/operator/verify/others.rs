//! What is no value: images, counters, profiles, deliveries and compensations.

use super::findings::Mend;
use super::{Look, ProblemKind};
use crate::ids::PlayerId;
use crate::players::Found;
use crate::store::compensation::is_readable;
use crate::store::image::{self, is_damage};
use crate::store::outbox::NEVER_MS;
use crate::store::players;

impl Look<'_> {
    /// Looks at every image whole, and at the counters that it names.
    pub(super) fn images(&mut self) -> rusqlite::Result<()> {
        self.begin("looking at images")?;
        let connection = self.connection;
        let ids: Vec<i64> = connection
            .prepare("SELECT id FROM image ORDER BY id DESC")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut torn = Vec::new();
        for id in ids {
            self.step("looking at images")?;
            // The bytes are read part by part: their sum is what counts.
            let found = match image::visit(connection, id, |_| {}) {
                Ok(found) => found.map(drop),
                Err(error) if is_damage(&error) => Err(error.to_string()),
                Err(error) => return Err(error),
            };
            match found {
                Ok(()) => self.totals.images += 1,
                Err(why) => torn.push((id, why)),
            }
        }
        let is_another_whole = self.totals.images > 0;
        for (id, why) in torn {
            let mend = is_another_whole.then_some(Mend::RemoveImage { id });
            self.findings.add_with(ProblemKind::Image, "image", &format!("id={id}"), why, mend);
        }
        self.counters()
    }

    fn counters(&mut self) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut sql = connection.prepare(
            "SELECT image_counter.name, max(image_counter.value), coalesce(counter.value, -1)
             FROM image_counter LEFT JOIN counter ON counter.name = image_counter.name
             GROUP BY image_counter.name HAVING max(image_counter.value) > coalesce(counter.value, -1)",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let (counter, least, value): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let detail = format!("an image has used numbers up to {least}, and it stands at {value}");
            let key = format!("name={counter}");
            let mend = Mend::Raise { counter, value: least.cast_unsigned() };
            self.findings.add_with(ProblemKind::Counter, "counter", &key, detail, Some(mend));
        }
        Ok(())
    }

    /// Reads every profile.
    pub(super) fn profiles(&mut self) -> rusqlite::Result<()> {
        self.begin("looking at profiles")?;
        let connection = self.connection;
        let mut sql = connection.prepare("SELECT name FROM player ORDER BY name")?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("looking at profiles")?;
            self.totals.profiles += 1;
            let name: String = row.get(0)?;
            let why = match PlayerId::new(&name) {
                Ok(player) => match players::load(connection, &player)? {
                    Found::Unreadable(why) => why,
                    _ => continue,
                },
                Err(error) => error.to_string(),
            };
            self.findings.add(ProblemKind::Profile, "player", &format!("name={name}"), why);
        }
        Ok(())
    }

    /// Looks at what waits to be delivered, and at what waits for an operator.
    pub(super) fn deliveries(&mut self) -> rusqlite::Result<()> {
        self.begin("looking at deliveries")?;
        let connection = self.connection;
        let mut sql = connection.prepare("SELECT id, next_ms FROM outbox ORDER BY id")?;
        let mut waits = connection
            .prepare("SELECT EXISTS (SELECT 1 FROM compensation WHERE kind = 'outbox' AND reference = ?1)")?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("looking at deliveries")?;
            self.totals.outbox += 1;
            let (id, next_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            if next_ms == NEVER_MS && !waits.query_row([id.to_string()], |row| row.get::<_, bool>(0))? {
                let detail = "it was given up, and no compensation tells an operator".to_owned();
                self.findings.add(ProblemKind::Delivery, "outbox", &format!("id={id}"), detail);
            }
        }
        let mut sql = connection.prepare(
            "SELECT id, kind, reference, what, kind = 'outbox' AND NOT EXISTS
                 (SELECT 1 FROM outbox WHERE outbox.id = CAST(reference AS INTEGER))
             FROM compensation ORDER BY id",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("looking at compensations")?;
            self.totals.compensations += 1;
            let (id, kind, reference): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let why = if row.get(4)? {
                format!("it is about delivery {reference}, which does not exist")
            } else if kind == "plan" && !is_readable(row.get_ref(3)?.as_blob()?) {
                format!("the plan of {reference} cannot be read")
            } else {
                continue;
            };
            self.findings.add(ProblemKind::Delivery, "compensation", &format!("id={id}"), why);
        }
        Ok(())
    }
}
