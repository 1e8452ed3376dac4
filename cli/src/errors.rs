//! Errors that people meet, each in our own words and with the next step; what AWS said stays below as the cause.

/// An error that people meet.
pub struct Met {
    /// What the chain of causes has in it.
    words: &'static [&'static str],
    /// What is the case, unless the error says so itself.
    pub says: Option<&'static str>,
    /// What to do.
    pub hint: &'static str,
    /// The exit code.
    code: u8,
}

/// What was asked for cannot be done.
const OTHER: u8 = 1;
/// Whoever asks may not, or is not known.
const WHO: u8 = 3;
/// Trying again may help.
const AGAIN: u8 = 4;

/// The first that fits is said.
const MET: [Met; 13] = [
    Met {
        words: &["is no peerd.toml"],
        says: None,
        hint: "README.md shows a whole one, and docs/policies.md what each mesh may say",
        code: OTHER,
    },
    Met {
        words: &["is no policy", "more in it than one policy"],
        says: None,
        hint: "docs/policies.md lists the fields, and `peerd mesh show MESH` prints a whole policy",
        code: OTHER,
    },
    Met {
        words: &["No such file", "Permission denied (os", "Is a directory", "valid UTF-8"],
        says: None,
        hint: "see that the path is right and that you may use the file",
        code: OTHER,
    },
    Met {
        words: &["no credentials found"],
        says: Some("there are no AWS credentials"),
        hint: "set AWS_PROFILE, or log in (`aws sso login`); `aws sts get-caller-identity` shows whose are used",
        code: WHO,
    },
    Met {
        words: &["Missing Region", "missing signing region"],
        says: Some("no AWS Region is set"),
        hint: "set AWS_REGION, or `region` of the profile, to the Region of the hub",
        code: OTHER,
    },
    Met {
        words: &["ExpiredToken", "RequestExpired", "token has expired"],
        says: Some("the AWS credentials have expired"),
        hint: "log in again (`aws sso login`), or renew the session",
        code: WHO,
    },
    Met {
        words: &["InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "AuthFailure"],
        says: Some("AWS does not know these credentials"),
        hint: "`aws sts get-caller-identity` says whether they are good; the Region may be one that the account has not \
               switched on",
        code: WHO,
    },
    Met {
        words: &["ValidationError: Stack"],
        says: Some("there is no such stack in this account and Region"),
        hint: "--stack NAME (or PEERD_STACK) names the hub's stack, AWS_REGION its Region; `aws cloudformation \
               describe-stacks --query 'Stacks[].StackName'` lists what is there",
        code: OTHER,
    },
    Met {
        words: &["AssumeRole", "assume role", "role cannot be assumed"],
        says: Some("a role cannot be assumed"),
        hint: "it must exist in that account, and its trust policy must name you and the external id that you give",
        code: WHO,
    },
    Met {
        words: &["AccessDenied", "UnauthorizedOperation", "not authorized"],
        says: Some("your AWS identity may not do that"),
        hint: "give it the permission that is named below; docs/policies.md lists what the commands need",
        code: WHO,
    },
    Met {
        words: &["Throttl", "RequestLimitExceeded", "TooManyRequests"],
        says: Some("AWS takes no more calls for now"),
        hint: "try again in a minute; nothing is lost, and what was done is not done again",
        code: AGAIN,
    },
    Met {
        words: &["timed out", "timeout"],
        says: Some("AWS did not answer in time"),
        hint: "try again; look at the network, the proxy, and AWS_ENDPOINT_URL",
        code: AGAIN,
    },
    Met {
        words: &["dispatch failure"],
        says: Some("AWS was not reached"),
        hint: "look at the network, the proxy, and AWS_ENDPOINT_URL",
        code: AGAIN,
    },
];

/// What is known of an error, by its chain of causes; nothing if it says itself what to do.
pub fn met(chain: &str) -> Option<&'static Met> {
    MET.iter().find(|met| met.words.iter().any(|word| chain.contains(word)))
}

/// The exit code that goes with an error.
pub fn code(chain: &str) -> u8 {
    met(chain).map_or(OTHER, |met| met.code)
}

/// An error as people read it.
pub fn tell(chain: &str) -> String {
    let chain = chain.trim_end();
    match met(chain) {
        None => format!("error: {chain}"),
        Some(Met { says: None, hint, .. }) => format!("error: {chain}\nhint: {hint}"),
        Some(Met { says: Some(says), hint, .. }) => format!("error: {says}\nhint: {hint}\ncause: {chain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_that_people_meet_has_words_of_its_own_and_a_next_step_and_others_are_left_alone() {
        for (chain, says, hint, exits) in [
            (
                "dispatch failure: other: no credentials found in chain. Attempted:",
                "no AWS credentials",
                "AWS_PROFILE",
                3,
            ),
            ("dispatch failure: other: Invalid Configuration: Missing Region", "no AWS Region", "AWS_REGION", 1),
            ("DescribeStacks of peerd (ExpiredToken: The token is expired)", "have expired", "log in again", 3),
            (
                "DescribeStacks of x (ValidationError: Stack with id x does not exist)",
                "no such stack",
                "--stack NAME",
                1,
            ),
            (
                "loading credentials: AccessDenied: may not perform: sts:AssumeRole",
                "cannot be assumed",
                "trust policy",
                3,
            ),
            ("Query of meshes (AccessDeniedException: dynamodb:Query)", "may not do that", "docs/policies.md", 3),
            ("DescribeVpcs (RequestLimitExceeded: slow down)", "takes no more calls", "in a minute", 4),
            ("dispatch failure: timeout: connect", "did not answer in time", "the network", 4),
            ("dispatch failure: io error: Connection refused", "was not reached", "AWS_ENDPOINT_URL", 4),
        ] {
            let told = tell(chain);
            let lines: Vec<&str> = told.lines().collect();
            assert!(lines[0].starts_with("error: ") && lines[0].contains(says), "{told}");
            assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{told}");
            assert_eq!(lines[2], format!("cause: {chain}"));
            assert_eq!(code(chain), exits, "{chain}");
        }
        let own = "nosuch is neither declared nor asked for; `peerd mesh list` lists the meshes";
        assert_eq!((tell(own), code(own)), (format!("error: {own}"), 1));
        let told = tell("x.json is no policy: policy field `topology`: unknown variant `ring`\n");
        assert!(
            told.starts_with("error: x.json is no policy: policy field `topology`: unknown variant `ring`\nhint: ")
        );
    }
}
