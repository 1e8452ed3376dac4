//! The picture of the demo in the README: a terminal whose lines appear as in the demo. A viewer without animations shows
//! the last state.

use maud::{Markup, html};

use super::pause;
use super::scenario::{Cue, Kind};

/// The chapters that are shown: a mesh forms, and a route heals.
const CHAPTERS: usize = 2;
const STYLE: &str = "\
text { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d7dde6; }
.head { fill: #8b97a8; } .bold { fill: #ffffff; font-weight: 600; } .add { fill: #5fd0a0; } .change { fill: #e9b65c; }
.remove { fill: #ff8d83; } .alarm { fill: #ff8d83; font-weight: 600; }";
/// Sizes in pixels: of the window, of a line, and the margins around the lines.
const WIDTH: usize = 820;
const LINE: usize = 18;
const MARGIN: usize = 20;
const TOP: usize = 56;

/// A line or a table that is shown from a time on, in milliseconds.
struct Shown<T> {
    from: u128,
    what: T,
}

/// The picture as SVG.
pub fn animated(cues: &[Cue]) -> String {
    let (mut lines, mut scenes, mut now) = (Vec::new(), Vec::new(), 0);
    let mut chapters = 0;
    for cue in cues {
        chapters += usize::from(cue.kind == Kind::Chapter);
        if chapters > CHAPTERS || (chapters > 0 && cue.kind == Kind::Frame) {
            break;
        }
        now += pause(cue).as_millis();
        lines.extend(cue.text.lines().map(|line| Shown { from: now, what: (class(line, cue.kind), line) }));
        scenes.push(Shown { from: now, what: cue.scene.as_str() });
    }
    scenes.dedup_by_key(|scene| scene.what);
    let rows = scenes.iter().map(|scene| scene.what.lines().count()).max().unwrap_or_default();
    let below = TOP + (rows + 1) * LINE;
    let height = below + lines.len() * LINE + MARGIN / 2;
    let ends = scenes.iter().skip(1).map(|scene| Some(scene.from)).chain([None]);
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {height}")) width=(WIDTH) height=(height) role="img"
            aria-label="peerd demo: a mesh of three VPCs forms, and a deleted route comes back" {
            style { (maud::PreEscaped(STYLE)) }
            rect width=(WIDTH) height=(height) rx="10" fill="#10151c" {}
            @for (n, color) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
                circle cx=(MARGIN + 4 + 20 * n) cy="20" r="6" fill=(color) {}
            }
            text class="head" x=(WIDTH / 2) y="24" text-anchor="middle" { "$ peerd demo" }
            @for (n, line) in lines.iter().enumerate() { (line_at(below + n * LINE, line)) }
            @for (scene, end) in scenes.iter().zip(ends) { (scene_at(TOP, scene, end)) }
        }
    };
    picture.into_string() + "\n"
}

fn line_at(y: usize, Shown { from, what: (class, line) }: &Shown<(&str, &str)>) -> Markup {
    html! {
        text class=(class) x=(MARGIN) y=(y) xml:space="preserve" {
            (line)
            set attributeName="visibility" to="hidden" begin="0s" dur=(format!("{from}ms")) {}
        }
    }
}

/// A table, from a time to another, and the last one for good.
fn scene_at(top: usize, Shown { from, what }: &Shown<&str>, end: Option<u128>) -> Markup {
    html! {
        g visibility=(if end.is_some() { "hidden" } else { "visible" }) {
            @match end {
                Some(end) => set attributeName="visibility" to="visible" begin=(format!("{from}ms")) dur=(format!("{}ms", end - from)) {},
                None => set attributeName="visibility" to="hidden" begin="0s" dur=(format!("{from}ms")) {},
            }
            @for (n, row) in what.lines().enumerate() {
                text class=(if n == 0 { "head" } else { "" }) x=(MARGIN) y=(top + n * LINE) xml:space="preserve" { (row) }
            }
        }
    }
}

/// The CSS class of a line.
fn class(line: &str, kind: Kind) -> &'static str {
    match (kind, line.trim_start().get(..2)) {
        (Kind::Chapter | Kind::Note, _) => "bold",
        (_, Some("+ ")) => "add",
        (_, Some("* ")) => "change",
        (_, Some("- ")) => "remove",
        (_, Some("! ")) => "alarm",
        _ => "head",
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario;
    use super::*;

    #[test]
    fn the_picture_in_the_readme_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/demo.svg");
        let current = std::fs::read_to_string(file).unwrap_or_default();
        assert!(current == animated(&scenario::play()), "docs/images/demo.svg is out of date: run `make docs`");
    }

    #[test]
    fn every_line_fits_into_the_window_and_the_last_scene_stays() {
        let picture = animated(&scenario::play());
        let texts = picture.split("xml:space=\"preserve\">").skip(1).filter_map(|rest| rest.split('<').next());
        let longest = texts.map(|text| text.chars().count()).max();
        assert!(longest <= Some((WIDTH - 2 * MARGIN) * 10 / 76), "{longest:?} characters");
        assert_eq!(picture.matches("<g visibility=\"visible\">").count(), 1);
    }
}
