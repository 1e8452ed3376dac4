//! The CIDR blocks that a VPC advertises. `cidr_overrides` replaces its CIDR blocks per environment. `peerd:cidrs`
//! replaces them for all meshes, and a policy may exclude addresses.

use std::collections::BTreeMap;

use peerd_core::cidr::IpNet;
use peerd_core::tags::MAX_VALUE_LEN;
use peerd_core::{CidrSet, MeshName};

/// The CIDR blocks that a VPC advertises in each mesh; `None` for all of its own.
pub type Shares = BTreeMap<MeshName, Option<CidrSet>>;

/// The same, as a tag and exclusions per mesh.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// The value of `peerd:cidrs`; `None` for all of its CIDR blocks.
    pub tag: Option<String>,
    /// What it advertises in at least one mesh.
    pub all: CidrSet,
    /// What each mesh excludes from that.
    pub left_out: BTreeMap<MeshName, CidrSet>,
}

/// The overrides within a VPC's own CIDR blocks, if these are known, with a note about each that is not within them.
///
/// # Errors
/// When none is within them: no peer would reach the VPC any longer.
pub fn within(overrides: &[IpNet], own: Option<&CidrSet>) -> Result<(CidrSet, Vec<String>), String> {
    let Some(own) = own else { return Ok((overrides.iter().copied().collect(), Vec::new())) };
    let (mut taken, mut notes) = (CidrSet::default(), Vec::new());
    for cidr in overrides {
        let inner: Vec<IpNet> = own.iter().filter(|own| cidr.contains(*own)).copied().collect();
        if own.covers(cidr) {
            taken.insert(*cidr);
        } else if inner.is_empty() {
            notes.push(format!("{cidr} of its overrides is outside its CIDR blocks {own}: its routes will be deleted"));
        } else {
            notes.push(format!("{cidr} of its overrides exceeds its CIDR blocks: only these are routed"));
            inner.into_iter().for_each(|own| taken.insert(own));
        }
    }
    match taken.is_empty() && !overrides.is_empty() {
        true => {
            Err(format!("none of its overrides is within its CIDR blocks {own}: its peers could no longer reach it"))
        }
        false => Ok((taken, notes)),
    }
}

/// One tag for all meshes, and what each mesh excludes.
///
/// # Errors
/// When a tag and exclusions cannot express the overrides.
pub fn shared(shares: &Shares, own: Option<&CidrSet>) -> Result<Shared, String> {
    let everywhere_all = shares.values().all(Option::is_none);
    let somewhere_all = shares.values().any(Option::is_none);
    if everywhere_all {
        return Ok(Shared { all: own.cloned().unwrap_or_default(), ..Shared::default() });
    }
    let all: CidrSet = match (somewhere_all, own) {
        (true, Some(own)) => own.clone(),
        (true, None) => return Err("its CIDR blocks differ between its environments, and it cannot be read".to_owned()),
        (false, _) => shares.values().flatten().flat_map(CidrSet::iter).copied().collect(),
    };
    let tag = if somewhere_all { None } else { Some(words(&all)?) };
    let rest = |share: &Option<CidrSet>| share.as_ref().map(|share| all.without(share)).unwrap_or_default();
    let left_out = shares.iter().map(|(mesh, share)| (mesh.clone(), rest(share)));
    let left_out = left_out.filter(|(_, rest)| !rest.is_empty()).collect();
    Ok(Shared { tag, all, left_out })
}

fn words(cidrs: &CidrSet) -> Result<String, String> {
    let words = |cidrs: &CidrSet| cidrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let fits = |text: &String| text.len() <= MAX_VALUE_LEN;
    [words(cidrs), words(&cidrs.aggregated())]
        .into_iter()
        .find(fits)
        .ok_or_else(|| format!("its overrides are longer than a tag of {MAX_VALUE_LEN} characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cidrs: &str) -> CidrSet {
        cidrs.split_whitespace().map(|cidr| cidr.parse::<IpNet>().unwrap()).collect()
    }

    fn shares(of: &[(&str, Option<&str>)]) -> Shares {
        of.iter().map(|(mesh, share)| (mesh.parse().unwrap(), share.map(set))).collect()
    }

    #[test]
    fn overrides_are_imported_only_within_the_vpcs_own_cidrs() {
        let own = set("10.1.0.0/16 100.64.0.0/24");
        let taken = |overrides: &str| {
            let cidrs: Vec<IpNet> = overrides.split_whitespace().map(|cidr| cidr.parse().unwrap()).collect();
            within(&cidrs, Some(&own)).map(|(taken, notes)| (taken.to_string(), notes.len()))
        };
        assert_eq!(taken("10.1.0.0/17"), Ok(("10.1.0.0/17".to_owned(), 0)));
        assert_eq!(taken("10.0.0.0/8 192.0.2.0/24"), Ok(("10.1.0.0/16".to_owned(), 2)));
        assert_eq!(taken(""), Ok((String::new(), 0)), "it advertises nothing, explicitly");
        assert!(taken("192.0.2.0/24").unwrap_err().contains("its peers could no longer reach it"));
        assert_eq!(within(&["192.0.2.0/24".parse().unwrap()], None).unwrap().0, set("192.0.2.0/24"));
    }

    #[test]
    fn the_cidrs_tag_is_the_union_of_all_meshes_and_each_excludes_the_rest() {
        let own = set("10.1.0.0/16");
        let all = shared(&shares(&[("a", None), ("b", None)]), None).unwrap();
        assert_eq!((all.tag, all.left_out.len()), (None, 0));
        let same = shared(&shares(&[("a", Some("10.1.0.0/17"))]), Some(&own)).unwrap();
        assert_eq!((same.tag.as_deref(), same.left_out.len()), (Some("10.1.0.0/17"), 0));
        let two = shared(&shares(&[("a", Some("10.1.0.0/17")), ("b", Some("10.1.128.0/18"))]), Some(&own)).unwrap();
        assert_eq!(two.tag.as_deref(), Some("10.1.0.0/17 10.1.128.0/18"));
        assert_eq!(two.left_out[&"a".parse().unwrap()], set("10.1.128.0/18"));
        let some = shared(&shares(&[("a", Some("10.1.0.0/17")), ("b", None)]), Some(&own)).unwrap();
        assert_eq!((some.tag, &some.left_out[&"a".parse().unwrap()]), (None, &set("10.1.128.0/17")));
        let none = shared(&shares(&[("a", Some(""))]), Some(&own)).unwrap();
        assert_eq!(none.tag.as_deref(), Some(""), "it advertises nothing in any mesh");
        assert!(shared(&shares(&[("a", Some("10.1.0.0/17")), ("b", None)]), None).unwrap_err().contains("be read"));
    }

    #[test]
    fn overrides_too_long_for_a_tag_are_aggregated_or_rejected() {
        let many = |step: usize| {
            (0..40).map(|n| format!("10.{}.{}.0/24", n * step / 256, n * step % 256)).collect::<Vec<_>>().join(" ")
        };
        let tag = |step| shared(&shares(&[("a", Some(&many(step)))]), None).map(|shared| shared.tag.unwrap());
        assert_eq!(tag(1).unwrap(), "10.0.0.0/19 10.0.32.0/21");
        assert!(tag(2).unwrap_err().contains("longer than a tag"));
    }
}
