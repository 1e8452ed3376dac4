//! Errors of AWS in one short line, for people: the SDK's own text is long, and says the same once per scope.

/// Each line of a text: the call, the code of the error, and the action that is not allowed: `DescribeVpcs in 222222222222/us-east-1
/// (UnauthorizedOperation: ec2:DescribeVpcs)`. A text without a code stays as it is.
pub fn brief(error: &str) -> String {
    // The SDK's own text of an error without a response, a lost connection or missing credentials, has several lines.
    let (text, _) = error.split_once(": dispatch failure").unwrap_or((error, ""));
    text.lines().map(brief_line).collect::<Vec<_>>().join("\n")
}

fn brief_line(line: &str) -> String {
    let Some((call, code, rest)) = split(line) else { return line.to_owned() };
    let action = rest.split_once("to perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
    match action {
        Some(action) => format!("{call} ({code}: {action})"),
        None => format!("{call} ({code})"),
    }
}

/// The text before the code of an error, the code, and the message after it. A code is a word in parentheses that begins
/// with a capital letter and is followed by a colon, as in `DescribeVpcs (AccessDenied: no)`.
fn split(error: &str) -> Option<(&str, &str, &str)> {
    error.match_indices(" (").find_map(|(place, mark)| {
        let (code, rest) = error[place + mark.len()..].split_once(": ")?;
        let is_code = code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.chars().all(|char| char.is_ascii_alphanumeric() || char == '.');
        is_code.then_some((&error[..place], code, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_call_its_code_and_the_action_that_is_not_allowed() {
        let denied = "DescribeVpcs in 111111111111/us-east-1: its role cannot be assumed (AccessDenied: User: \
                      arn:aws:iam::111111111111:user/x is not authorized to perform: sts:AssumeRole on resource: \
                      arn:aws:iam::222222222222:role/nosuch because no policy allows it): denied";
        assert_eq!(
            brief(denied),
            "DescribeVpcs in 111111111111/us-east-1: its role cannot be assumed (AccessDenied: sts:AssumeRole)"
        );
        let of_vpc = "DescribeSubnets of vpc-1 (111111111111/us-east-1) (InvalidVpcID.NotFound: no such VPC): invalid";
        assert_eq!(brief(of_vpc), "DescribeSubnets of vpc-1 (111111111111/us-east-1) (InvalidVpcID.NotFound)");
        assert_eq!(brief("DescribeStacks of peerd: dispatch failure: none.\n  Tried: x"), "DescribeStacks of peerd");
        assert_eq!(
            brief("1 of 2 failed:\n  Tag (Denied: no)\n  aws ec2 tag"),
            "1 of 2 failed:\n  Tag (Denied)\n  aws ec2 tag"
        );
        for text in
            ["DescribeVpcs in 111111111111/us-east-1: unavailable", "policy field `mode`: unknown (see it: here)"]
        {
            assert_eq!(brief(text), text);
        }
    }
}
