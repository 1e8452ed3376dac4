//! Claims, in the table: `pair#<requester>#<accepter>` / `claim`.

use async_trait::async_trait;
use peerd_core::{Pair, PeeringId};
use peerd_engine::{Claim, ClaimStore, InfraError};

use crate::errors;
use crate::table::{DynamoStore, Item, key, number, text};

#[async_trait]
impl ClaimStore for DynamoStore {
    async fn claim(&self, claim: &Claim) -> Result<bool, InfraError> {
        let mut free = "attribute_not_exists(pk) OR until_ms < :now OR claimed_by = :owner".to_owned();
        let mut request = self.dynamo.update_item();
        for (n, peering) in claim.dead.iter().enumerate() {
            free.push_str(&format!(" OR peering = :dead{n}"));
            request = request.expression_attribute_values(format!(":dead{n}"), text(peering.as_str()));
        }
        let request = request
            .table_name(&self.table)
            .set_key(Some(claim_key(&claim.pair)))
            .condition_expression(free)
            .update_expression("SET claimed_by = :owner, until_ms = :until, expires = :expires REMOVE peering")
            .expression_attribute_values(":owner", text(&claim.owner))
            .expression_attribute_values(":now", number(claim.now))
            .expression_attribute_values(":until", number(claim.until))
            .expression_attribute_values(":expires", number(claim.until / 1000));
        Ok(Self::update_if(request, &format!("the claim to {}", claim.pair)).await?.is_some())
    }

    async fn record_peering(&self, claim: &Claim, peering: &PeeringId) -> Result<(), InfraError> {
        let request = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(claim_key(&claim.pair)))
            .condition_expression("claimed_by = :owner")
            .update_expression("SET peering = :peering")
            .expression_attribute_values(":owner", text(&claim.owner))
            .expression_attribute_values(":peering", text(peering.as_str()));
        let answer = request.send().await.map(drop);
        answer.map_err(|error| errors::port(format!("UpdateItem of the claim to {}", claim.pair), error))
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), InfraError> {
        let request = self
            .dynamo
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(claim_key(&claim.pair)))
            .condition_expression("claimed_by = :owner")
            .expression_attribute_values(":owner", text(&claim.owner));
        // If another run holds it by now, it stays.
        Self::delete_if(request, &format!("the claim to {}", claim.pair)).await.map(drop)
    }
}

fn claim_key(pair: &Pair) -> Item {
    key(format!("pair#{}#{}", pair.requester().id, pair.accepter().id), "claim".to_owned())
}
