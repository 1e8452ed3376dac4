//! Execution of the operations. An operation that AWS refuses has no effect.

use peerd_core::cidr::{self, IpNet};
use peerd_core::tags;
use peerd_core::{DnsSupport, PeeringId, Policy, Route, RouteTableId, RouteTarget, Tags, VpcRef};

use super::oracle::Violation;
use super::runner::{Outage, SimRun, UNKNOWN_ACCOUNT};
use super::scenario::{FloodTarget, Operation};
use crate::aws::{MINUTE, Peering};
use crate::change_log::Actor;
use crate::user_actions;
use crate::world::{account, scope};

/// Returns one of several resources, by a number of any size.
pub(super) fn nth<T: Clone>(of: &[T], number: u32) -> Option<T> {
    (!of.is_empty()).then(|| of[number as usize % of.len()].clone())
}

fn small(number: u32) -> u8 {
    u8::try_from(number % 3).unwrap_or_default() + 1
}

impl SimRun<'_> {
    /// Executes an operation; returns false if AWS refused it or its resource does not exist.
    pub(super) fn act(&mut self, operation: &Operation) -> Result<bool, Violation> {
        if *operation == Operation::Week {
            return self.week().map(|()| true);
        }
        if let Operation::Contention { table, times } = operation {
            return self.contend(*table, *times);
        }
        Ok(self
            .on_vpcs(operation)
            .or_else(|| self.on_accounts(operation))
            .or_else(|| self.on_deployment(operation))
            .or_else(|| self.on_tables(operation))
            .or_else(|| self.on_routes(operation))
            .or_else(|| self.on_peerings(operation))
            .or_else(|| self.on_groups(operation))
            .or_else(|| self.flood(operation))
            .is_some())
    }

    fn vpcs(&self) -> Vec<VpcRef> {
        self.world.cloud.aws().vpcs().map(|vpc| vpc.vpc_ref.clone()).collect()
    }

    pub(super) fn choose(&self, number: u32) -> Option<VpcRef> {
        nth(&self.vpcs(), number)
    }

    fn tables(&self) -> Vec<RouteTableId> {
        self.world.cloud.aws().tables().map(|table| table.id.clone()).collect()
    }

    fn created_routes(&self) -> Vec<(RouteTableId, IpNet)> {
        let aws = self.world.cloud.aws();
        let routes = aws.tables().flat_map(|table| table.routes.iter().map(|route| (table.id.clone(), route)));
        routes.filter(|(_, route)| route.is_static).map(|(table, route)| (table, route.destination)).collect()
    }

    /// Returns the live peerings.
    fn peerings(&self) -> Vec<Peering> {
        self.world.cloud.aws().peerings().filter(|peering| peering.status().is_live()).cloned().collect()
    }

    fn side(&self, number: u32, of_accepter: bool) -> Option<(peerd_core::Scope, PeeringId)> {
        let peering = nth(&self.peerings(), number)?;
        let end = if of_accepter { &peering.accepter } else { &peering.requester };
        Some((end.scope.clone(), peering.id.clone()))
    }

    fn on_vpcs(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::MakeVpc { scope: at, cidrs, meshes } => {
                let name = self.name();
                let vpc = self.world.vpc(&name, scope(small(*at), (at / 3 % 2) as usize), cidrs, meshes);
                let has = DnsSupport { hostnames: at % 4 != 0, support: true };
                self.world.cloud.aws().set_dns_support(Actor::User, &vpc, has).ok()
            }
            Operation::Names { vpc, hostnames, support } => {
                let (vpc, has) = (self.choose(*vpc)?, DnsSupport { hostnames: *hostnames, support: *support });
                let theirs = self.peerings().into_iter().filter(|peering| peering.ends().contains(&&vpc));
                for peering in theirs.filter(|_| !has.hostnames) {
                    // A user who disables host names also switches the options of the VPC's peerings off.
                    drop(self.world.set_dns_option(&peering.id, &vpc, false));
                }
                self.world.set_dns_support(&vpc, has).ok()
            }
            Operation::Tag { vpc, meshes } => self.world.tag(&self.choose(*vpc)?, meshes).ok(),
            Operation::Untag { vpc } => self.world.untag(&self.choose(*vpc)?).ok(),
            Operation::UntagAll => {
                self.vpcs().iter().for_each(|vpc| drop(self.world.untag(vpc)));
                Some(())
            }
            Operation::DeleteVpc { vpc, peerings_first: true } => {
                self.world.delete_vpc_and_peerings(&self.choose(*vpc)?).ok()
            }
            Operation::DeleteVpc { vpc, peerings_first: false } => self.world.delete_vpc(&self.choose(*vpc)?).ok(),
            Operation::Associate { vpc, cidr } => {
                self.world.associate(&self.choose(*vpc)?, &cidr::parse(cidr).ok()?).ok()
            }
            Operation::Disassociate { vpc, nth: number } => {
                let vpc = self.choose(*vpc)?;
                let cidrs: Vec<IpNet> = self.world.cloud.aws().vpc(&vpc)?.cidrs.iter().copied().collect();
                self.world.disassociate(&vpc, &nth(&cidrs, *number)?).ok()
            }
            Operation::Role { vpc, role } => self.world.mark(&self.choose(*vpc)?, tags::ROLE, *role).ok(),
            Operation::Advertise { vpc, parts } => {
                let vpc = self.choose(*vpc)?;
                let value = parts.map(|parts| self.advertise(&vpc, parts));
                self.world.mark(&vpc, tags::CIDRS, value.as_deref()).ok()
            }
            _ => None,
        }
    }

    fn on_accounts(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::AccountOutage { account: number, minutes } => {
                self.begin_outage(Outage::Account(account(small(*number))), *minutes);
                Some(())
            }
            Operation::RegionOutage { region, minutes } => {
                self.begin_outage(Outage::Region(scope(1, (region % 2) as usize).region), *minutes);
                Some(())
            }
            Operation::Suspend { account: number, minutes, and_remove } => {
                let account = account(small(*number));
                self.begin_outage(Outage::Suspended(account.clone()), *minutes);
                if *and_remove {
                    self.world.store.set_removed(&account, true);
                }
                Some(())
            }
            Operation::DisableRegion { scope: at, minutes } => {
                self.begin_outage(Outage::Off(scope(small(*at), 1)), *minutes);
                Some(())
            }
            Operation::MoveAccount { account: number, unit } => {
                let (account, unit) = (account(small(*number)), crate::world::unit(unit));
                self.world.cloud.aws().move_account(&account, &unit);
                Some(())
            }
            Operation::LoseListing => {
                self.world.store.lose_organization();
                Some(())
            }
            _ => None,
        }
    }

    fn on_deployment(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::RaiseQuotas => {
                self.raise_quotas();
                Some(())
            }
            Operation::LoseIndex => {
                self.lose_index();
                Some(())
            }
            Operation::Declare { mesh, policy } => {
                let policy = Policy::read(&mut serde_json::Deserializer::from_str(policy)).ok()?;
                self.declare(&crate::world::mesh(mesh), policy);
                Some(())
            }
            Operation::HandOver { nth: number, mesh, adopt } => {
                let id = nth(&self.peerings(), *number)?.id;
                self.set_adoption(&crate::world::mesh(mesh), id, *adopt);
                Some(())
            }
            Operation::Sweep => {
                self.world.sweep();
                Some(())
            }
            _ => None,
        }
    }

    /// Returns a value for `peerd:cidrs`: the first half of each CIDR block, the second half, both halves or the whole
    /// block, and sometimes a CIDR block that the VPC does not have.
    fn advertise(&self, vpc: &VpcRef, parts: u32) -> String {
        let aws = self.world.cloud.aws();
        let cidrs = aws.vpc(vpc).into_iter().flat_map(|seen| seen.cidrs.iter());
        let part = |cidr: &IpNet| {
            let halves: Vec<IpNet> = cidr.subnets(cidr.prefix_len() + 1).into_iter().flatten().collect();
            match parts % 4 {
                0 => halves[..1].to_vec(),
                1 => halves[1..].to_vec(),
                2 => halves,
                _ => vec![*cidr],
            }
        };
        let foreign = (parts / 4).is_multiple_of(4).then(|| "0.0.0.0/0".to_owned());
        let words = cidrs.flat_map(part).map(|cidr| cidr.to_string()).chain(foreign);
        words.collect::<Vec<_>>().join(" ")
    }

    fn on_tables(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::MakeTable { vpc, is_edge_associated } => {
                let (vpc, name) = (self.choose(*vpc)?, self.name());
                match is_edge_associated {
                    true => self.world.gateway_table(&name, &vpc),
                    false => self.world.table(&name, &vpc),
                }
                Some(())
            }
            Operation::MarkTable { table, key, value } => {
                let table = nth(&self.tables(), *table)?;
                self.world.mark_table(&table, key, *value);
                Some(())
            }
            Operation::DropTable { nth: number } => {
                let table = nth(&self.tables(), *number)?;
                self.world.cloud.aws().drop_table(Actor::User, &table);
                Some(())
            }
            _ => None,
        }
    }

    fn on_routes(&mut self, operation: &Operation) -> Option<()> {
        let gateway = RouteTarget::Other("tgw-1".to_owned());
        match operation {
            Operation::DeleteRoute { nth: number } => {
                let (table, cidr) = nth(&self.created_routes(), *number)?;
                self.world.delete_route(&table, &cidr).ok()
            }
            Operation::ReplaceRoute { nth: number } => {
                let (table, cidr) = nth(&self.created_routes(), *number)?;
                self.world.put_route(&table, &cidr, &gateway).ok()
            }
            Operation::PutRoute { table, vpc } => {
                let (table, vpc) = (nth(&self.tables(), *table)?, self.choose(*vpc)?);
                let cidr = *self.world.cloud.aws().vpc(&vpc)?.cidrs.iter().next()?;
                self.world.put_route(&table, &cidr, &gateway).ok()
            }
            Operation::PutListRoute { table, vpc } => {
                let (table, vpc) = (nth(&self.tables(), *table)?, self.choose(*vpc)?);
                let cidr = *self.world.cloud.aws().vpc(&vpc)?.cidrs.iter().next()?;
                let list = format!("pl-{}", self.name()).parse().ok()?;
                self.world.cloud.aws().lead_list(Actor::User, &table, &list, &cidr);
                Some(())
            }
            Operation::PutPeeringRoute { peering, cidr } => {
                let peering = nth(&self.peerings(), *peering)?;
                let theirs = |id: &RouteTableId| {
                    self.world.cloud.aws().table(id).is_some_and(|table| peering.ends().contains(&&table.vpc))
                };
                let table = self.tables().into_iter().find(theirs)?;
                let target = RouteTarget::Peering(peering.id.clone());
                self.world.put_route(&table, &cidr::parse(cidr).ok()?, &target).ok()
            }
            Operation::Propagate { table, vpc } => {
                let (table, vpc) = (nth(&self.tables(), *table)?, self.choose(*vpc)?);
                let cidr = *self.world.cloud.aws().vpc(&vpc)?.cidrs.iter().next()?;
                self.world.cloud.aws().propagate(&table, &cidr);
                Some(())
            }
            Operation::Terraform { table } => {
                let table = nth(&self.tables(), *table)?;
                self.purge(&table).then_some(())
            }
            _ => None,
        }
    }

    /// Deletes every peering route of a table; returns whether there was one.
    fn purge(&mut self, table: &RouteTableId) -> bool {
        let unknown = |route: &&Route| matches!(route.target, RouteTarget::Peering(_));
        let cidrs: Vec<IpNet> = match self.world.cloud.aws().table(table) {
            Some(table) => table.routes.iter().filter(unknown).map(|route| route.destination).collect(),
            None => return false,
        };
        cidrs.iter().for_each(|cidr| drop(self.world.delete_route(table, cidr)));
        !cidrs.is_empty()
    }

    /// Deletes every peering route of a table `times` times, every two minutes.
    fn contend(&mut self, table: u32, times: u32) -> Result<bool, Violation> {
        let Some(table) = nth(&self.tables(), table) else { return Ok(false) };
        let mut purged = false;
        for _ in 0..times {
            purged |= self.purge(&table);
            self.run(self.world.now() + 2 * MINUTE)?;
        }
        Ok(purged)
    }

    fn on_peerings(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::DeletePeering { nth, by_accepter } => {
                let (scope, id) = self.side(*nth, *by_accepter)?;
                self.world.delete_peering(&scope, &id).ok()
            }
            Operation::RejectPeering { nth: number } => {
                let pending: Vec<Peering> = self.peerings();
                let pending: Vec<Peering> = pending
                    .into_iter()
                    .filter(|peering| *peering.status() == peerd_core::PeeringStatus::PendingAcceptance)
                    .collect();
                let peering = nth(&pending, *number)?;
                self.world.reject_peering(&peering.accepter.scope, &peering.id).ok()
            }
            Operation::PeerByHand { from, to, accept } => {
                let (from, to) = (self.choose(*from)?, self.choose(*to)?);
                if from == to {
                    return None;
                }
                let id = self.world.request_peering(&from, &to, &Tags::new()).ok()?;
                if *accept {
                    // A request that is not visible to its accepter yet stays pending.
                    drop(self.world.accept_peering(&to.scope, &id));
                }
                Some(())
            }
            Operation::SwitchDns { nth: number, of_accepter, on } => {
                let peering = nth(&self.peerings(), *number)?;
                let end = if *of_accepter { &peering.accepter } else { &peering.requester };
                self.world.set_dns_option(&peering.id, end, *on).ok()
            }
            Operation::Phish { vpc } => self.phish(&self.choose(*vpc)?),
            Operation::StripTag { nth, of_accepter, key } => {
                let (scope, id) = self.side(*nth, *of_accepter)?;
                self.world.retag_peering(&scope, &id, key, None).ok()
            }
            Operation::Forge { nth: number, of_accepter, from } => {
                let ((scope, id), source) = (self.side(*number, *of_accepter)?, nth(&self.peerings(), *from)?);
                let copied = source.tags(&source.requester.scope);
                let copied = copied.iter().filter(|(key, _)| key.starts_with("peerd:"));
                copied
                    .into_iter()
                    .try_for_each(|(key, value)| self.world.retag_peering(&scope, &id, key, Some(value)).ok())
            }
            Operation::RetagPeering { nth, of_accepter } => {
                let (scope, id) = self.side(*nth, *of_accepter)?;
                self.world.retag_peering(&scope, &id, "peerd:env", Some("staging")).ok()
            }
            _ => None,
        }
    }

    /// Writes the names of 31 meshes into a tag.
    fn flood(&mut self, operation: &Operation) -> Option<()> {
        let Operation::Flood { nth: number, target } = *operation else { return None };
        let names: String = (1..=30).map(|number| format!("+f{number:02}")).collect();
        let names = format!("prod{names}");
        match target {
            FloodTarget::Vpc => self.world.tag(&self.choose(number)?, &names).ok(),
            FloodTarget::Peering => {
                let (scope, id) = self.side(number, number % 2 == 0)?;
                self.world.retag_peering(&scope, &id, tags::ENV, Some(&names)).ok()
            }
            FloodTarget::Group => {
                let (group, _) = nth(&self.groups(), number)?;
                self.world.mark_group(&group, tags::ALLOW, Some(&names));
                Some(())
            }
        }
    }

    /// Requests a peering from an unknown account: the VPC has the mesh tag, and the requester's side, which that
    /// account can tag, has the tags of a request of peerd.
    fn phish(&mut self, vpc: &VpcRef) -> Option<()> {
        let unknown = VpcRef::new(scope(UNKNOWN_ACCOUNT, 0), "vpc-unknown".parse().ok()?);
        let asks = Tags::from([("peerd:env".to_owned(), "prod".to_owned())]);
        let cidrs = user_actions::blocks_of("10.99.0.0/16");
        self.world.cloud.aws().create_vpc(Actor::User, &unknown, &cidrs, &asks);
        let dressed = [("peerd:managed-by", "peerd"), ("peerd:env", "prod"), ("Name", "peerd")];
        let dressed: Tags = dressed.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        self.world.request_peering(&unknown, vpc, &dressed).ok().map(drop)
    }
}
