//! The page: the picture with its data, and search and filters that work offline.

use anyhow::Result;
use maud::Render;
use peerd_core::Map;

use super::{pack, svg};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str =
    concat!(include_str!("page/page.css"), include_str!("page/views.css"), include_str!("page/print.css"));
/// The script: first the data, last what begins.
const SCRIPT: &str = concat!(
    include_str!("page/data.js"),
    include_str!("page/details.js"),
    include_str!("page/filters.js"),
    include_str!("page/tables.js"),
    include_str!("page/matrix.js"),
    include_str!("page/picture.js"),
    include_str!("page/page.js"),
);

/// The page as one file.
pub fn page(map: &Map) -> Result<String> {
    let picture = svg::picture(map, None).into_string();
    Ok(fill(
        PAGE,
        &[
            ("title", &svg::title(map).render().into_string()),
            ("picture-style", svg::STYLE),
            ("style", STYLE),
            ("picture", &picture),
            ("data", &pack::pack(map)?),
            ("script", SCRIPT),
        ],
    ))
}

/// Replaces the placeholders `{{name}}` of a template with values, in one pass: placeholders in values are text.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mark = part.split_once("}}");
        let value = mark.and_then(|(mark, rest)| Some((values.iter().find(|(name, _)| *name == mark)?.1, rest)));
        match value {
            Some((value, rest)) => filled.extend([value, rest]),
            None => filled.extend(["{{", part]),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::super::tests::map_of;
    use super::*;

    #[test]
    fn every_placeholder_of_the_page_is_filled_and_nothing_is_fetched() {
        let page = page(&map_of(10)).unwrap();
        for mark in ["title", "picture-style", "style", "picture", "data", "script"] {
            assert!(!page.contains(&format!("{{{{{mark}}}}}")), "{mark}");
        }
        for link in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(!page.contains(link), "{link}");
        }
    }

    #[test]
    fn a_name_with_a_placeholder_or_a_closing_script_tag_is_escaped() {
        let mut map = map_of(1);
        let mut node = map.vpcs.pop_first().unwrap();
        node.name = Some("{{script}}</script>".to_owned());
        map.vpcs.insert(node);
        let page = page(&map).unwrap();
        assert!(page.contains("{{script}}&lt;/scrip…") && !page.contains("{{script}}</script"), "{page}");
        assert_eq!(page.matches("</script>").count(), 2, "{page}");
    }
}
