//! An environment of the old file as a mesh.

use std::collections::BTreeSet;

use peerd_core::VpcRef;

use super::legacy_config::Entry;

/// An environment as a mesh.
pub struct Mesh<'a> {
    /// Its name in the file, which is also a tag of its peerings.
    pub old: &'a str,
    /// Its VPCs that are not known to be deleted, in the order of the file; a VPC may occur twice.
    pub entries: Vec<&'a Entry>,
}

impl Mesh<'_> {
    /// Its VPCs.
    pub fn vpcs(&self) -> BTreeSet<&VpcRef> {
        self.entries.iter().map(|entry| &entry.vpc).collect()
    }
}
