//! What to try when AWS was not reached or did not want to: said apart from the error, which stays as it was.

/// What an error has in it, and what helps. The first that fits is said.
const HINTS: [(&[&str], &str); 9] = [
    (
        &["no credentials found"],
        "no credentials were found: set AWS_PROFILE, or log in (`aws sso login`); `aws sts get-caller-identity` shows whose \
         are used",
    ),
    (
        &["Missing Region", "missing signing region"],
        "no Region is set: set AWS_REGION, or `region` of the profile, to the Region of the hub",
    ),
    (
        &["ExpiredToken", "RequestExpired", "token has expired"],
        "the credentials have expired: log in again (`aws sso login`), or renew the session",
    ),
    (
        &["InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "AuthFailure"],
        "AWS does not know these credentials: `aws sts get-caller-identity` says whether they are good, and the Region may be \
         one that the account has not switched on",
    ),
    (
        &["DescribeStacks", "does not exist"],
        "--stack NAME (or PEERD_STACK) names the hub's stack, AWS_REGION its Region; `aws cloudformation describe-stacks \
         --query 'Stacks[].StackName'` lists what is there",
    ),
    (
        &["AssumeRole", "assume role"],
        "the role must exist in that account, and its trust policy must name you and the external id that you give",
    ),
    (
        &["AccessDenied", "UnauthorizedOperation", "not authorized"],
        "your identity lacks the permission that is named; docs/policies.md lists what the commands need",
    ),
    (&["Throttl", "RequestLimitExceeded", "TooManyRequests"], "AWS takes no more calls for now: try again in a minute"),
    (&["dispatch failure", "timeout"], "AWS was not reached: look at the network, the proxy, and AWS_ENDPOINT_URL"),
];

/// What helps against an error; nothing if it says so itself.
pub fn hint(error: &str) -> Option<&'static str> {
    let is_stack = |words: &[&str]| words.first() == Some(&"DescribeStacks");
    let fits = |words: &[&str]| match is_stack(words) {
        true => words.iter().all(|word| error.contains(word)),
        false => words.iter().any(|word| error.contains(word)),
    };
    HINTS.iter().find(|(words, _)| fits(words)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_that_people_meet_has_a_next_step_and_others_are_left_alone() {
        for (error, says) in [
            ("dispatch failure: other: no credentials found in chain. Attempted:", "AWS_PROFILE"),
            ("dispatch failure: other: Invalid Configuration: Missing Region", "AWS_REGION"),
            ("DescribeStacks of peerd (ExpiredToken: The security token is expired)", "log in again"),
            ("DescribeStacks of x (ValidationError: Stack with id x does not exist)", "--stack NAME"),
            ("error loading credentials: AccessDenied: not authorized to perform: sts:AssumeRole", "trust policy"),
            ("Query of meshes (AccessDeniedException: dynamodb:Query)", "docs/policies.md"),
            ("DescribeVpcs (RequestLimitExceeded: slow down)", "in a minute"),
            ("dispatch failure: io error: Connection refused", "AWS_ENDPOINT_URL"),
        ] {
            assert!(hint(error).is_some_and(|hint| hint.contains(says)), "{error}: {:?}", hint(error));
        }
        assert_eq!(hint("policy field `topology`: unknown variant `ring`"), None);
        assert_eq!(hint("vpc-1 does not exist"), None);
    }
}
