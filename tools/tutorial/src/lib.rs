//! What a reader of `docs/tutorial.md` has typed after each of its steps.
//!
//! *Does*: reads the document, and does what the sentence above each block of code says, file by file.
//! *Does not*: build anything: the build script writes every step out as modules, and the tests include them.
//! *Reads*: the text of the document. *Writes*: nothing.

use std::collections::BTreeMap;

/// The files of a project, by path.
pub type Files = BTreeMap<String, String>;

/// What has been typed when a step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its heading.
    pub title: String,
    /// All files that there are then.
    pub files: Files,
}

/// Languages of blocks that are shown and not typed into a file.
const SHOWN: [&str; 2] = ["sh", "text"];

/// The steps of a document: what stands below each heading of the second order that begins with `Step`.
///
/// A block of code goes where the line above it says, which is one of
///
/// - `` `FILE`: `` for the whole of a file;
/// - `` In `FILE`, below `LINE`: ``;
/// - `` In `FILE`, instead of `LINE`: ``;
/// - `` In `FILE`, instead of `LINE` to `LINE`: ``;
/// - `` At the end of `FILE`: ``,
///
/// where a line is named by what it is without the blanks around it, and is there once.
///
/// # Errors
/// When a block says not, or not clearly, where it belongs: which line of the document, and what is wrong with it.
pub fn steps(document: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut said = "";
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let at = |what: String| format!("docs/tutorial.md:{}: {what}", number + 1);
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            if !SHOWN.contains(&language) {
                let step = steps.last_mut().ok_or_else(|| at("a block before the first step".into()))?;
                put(&mut step.files, said, &block).map_err(at)?;
            }
        } else if let Some(title) = line.strip_prefix("## ").filter(|title| title.starts_with("Step")) {
            let files = steps.last().map(|step| step.files.clone()).unwrap_or_default();
            steps.push(Step { title: title.to_owned(), files });
        }
        if !line.trim().is_empty() {
            said = line;
        }
    }
    Ok(steps)
}

/// Does with a block what the line above it says.
fn put(files: &mut Files, said: &str, block: &[&str]) -> Result<(), String> {
    let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    // What is said, without what is in backticks.
    let form: String = said.split('`').step_by(2).collect();
    let [file, named @ ..] = &quoted[..] else {
        return Err(format!("the line above it names no file: {said:?}"));
    };
    let text = || block.iter().map(|line| format!("{line}\n")).collect::<String>();
    if form == ":" && named.is_empty() {
        files.insert((*file).to_owned(), text());
        return Ok(());
    }
    let content = files.get_mut(*file).ok_or_else(|| format!("there is no {file} yet"))?;
    if form == "At the end of :" && named.is_empty() {
        content.push('\n');
        content.push_str(&text());
        return Ok(());
    }
    let lines: Vec<&str> = content.lines().collect();
    let place = |wanted: &str| {
        let mut found = (0..lines.len()).filter(|&place| lines[place].trim() == wanted);
        match (found.next(), found.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(format!("{file} has no line `{wanted}`")),
            (Some(_), Some(_)) => Err(format!("{file} has more than one line `{wanted}`")),
        }
    };
    let (before, after) = match (&*form, named) {
        ("In , below :", [line]) => (place(line)? + 1, place(line)? + 1),
        ("In , instead of :", [line]) => (place(line)?, place(line)? + 1),
        ("In , instead of  to :", [first, last]) => (place(first)?, place(last)? + 1),
        _ => return Err(format!("it is not said in a known way where it belongs: {said:?}")),
    };
    if after <= before && form.contains("instead") {
        return Err(format!("what is replaced in {file} ends before it begins"));
    }
    let all = lines[..before].iter().chain(block).chain(&lines[after..]);
    *content = all.map(|line| format!("{line}\n")).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n```sh\nls\n```\n\n## Step 1: begin\n\n`a.rs`:\n\n```rust\none\n  two\nthree\n```\n\n\
        ## Step 2: go on\n\nIn `a.rs`, below `two`:\n\n```rust\nand a half\n```\n\nIn `a.rs`, instead of `one`:\n```rust\n1\n\
        ```\nAt the end of `a.rs`:\n```rust\nfour\n```\n\n## Step 3: end\n\nIn `a.rs`, instead of `two` to `three`:\n\n\
        ```rust\n2\n3\n```\n\n## What next\n";

    #[test]
    fn each_block_goes_where_the_line_above_it_says() {
        let steps = steps(PAGE).expect("a sound page");
        let files: Vec<&str> = steps.iter().map(|step| &*step.files["a.rs"]).collect();
        assert_eq!(
            files,
            ["one\n  two\nthree\n", "1\n  two\nand a half\nthree\n\nfour\n", "1\n2\n3\n\nfour\n"]
        );
        assert_eq!(steps[2].title, "Step 3: end");
    }

    #[test]
    fn a_block_of_which_it_is_not_clear_where_it_belongs_is_named_with_its_line() {
        let of = |above: &str| {
            format!("## Step 1\n`a.rs`:\n```rust\nx\nx\ny\nz\n```\n{above}\n```rust\nnew\n```\n")
        };
        for (above, why) in [
            ("Some words:", "docs/tutorial.md:10: the line above it names no file"),
            ("In `b.rs`, below `y`:", "there is no b.rs yet"),
            ("In `a.rs`, below `w`:", "has no line `w`"),
            ("In `a.rs`, below `x`:", "more than one line `x`"),
            ("In `a.rs`, above `y`:", "not said in a known way"),
            ("In `a.rs`, instead of `z` to `y`:", "ends before it begins"),
        ] {
            let error = steps(&of(above)).expect_err(above);
            assert!(error.contains(why), "{above}: {error}");
        }
        assert!(steps("```rust\nx\n```\n").is_err_and(|error| error.contains("before the first step")));
    }
}
