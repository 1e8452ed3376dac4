//! The parts of an ARN (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).

/// The parts of an ARN that remedies need. A part that is missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// The partition, such as `aws`.
    pub partition: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The account.
    pub account: &'a str,
    /// The last part of the resource.
    pub name: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of an ARN.
    pub fn of(arn: &'a str) -> Self {
        let mut parts = arn.splitn(6, ':').skip(1);
        let mut next = || parts.next().unwrap_or_default();
        let (partition, _, region, account, resource) = (next(), next(), next(), next(), next());
        let name = resource.rsplit(['/', ':']).next().unwrap_or_default();
        Self { partition, region, account, name }
    }

    /// The ARN of a queue in the same account and Region.
    pub fn queue(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_arn_are_read_and_of_other_text_are_empty() {
        let bus = Arn::of("arn:aws-cn:events:cn-north-1:111111111111:event-bus/peerd");
        assert_eq!(
            (bus.partition, bus.region, bus.account, bus.name),
            ("aws-cn", "cn-north-1", "111111111111", "peerd")
        );
        assert_eq!(
            Arn::of("arn:aws:lambda:eu-west-1:111111111111:function:peerd-drift-repair").name,
            "peerd-drift-repair"
        );
        assert_eq!(Arn::of("peerd"), Arn { partition: "", region: "", account: "", name: "" });
    }
}
