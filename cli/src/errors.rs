//! Errors that users see: each has its own message and the next step. The error of AWS follows as the cause.

use peerd_core::aws_error::brief;

/// An error that users see.
pub struct Met {
    /// The error matches if the chain of causes contains one of these texts.
    words: &'static [&'static str],
    /// The message, unless the message of the error itself is used.
    pub says: Option<&'static str>,
    /// The next step.
    pub hint: &'static str,
    /// The exit code.
    code: u8,
}

/// The request cannot be carried out.
const OTHER: u8 = 1;
/// The principal is unknown or lacks a permission.
const WHO: u8 = 3;
/// A retry may help.
const AGAIN: u8 = 4;

/// Errors of what an operator wrote, by the words of the message.
const OWN: [Met; 3] = [
    Met {
        words: &["is not a valid peerd.toml", "there is no peerd.toml"],
        says: None,
        hint: "docs/peerd-toml.md lists the fields, and has a complete example",
        code: OTHER,
    },
    Met {
        words: &["is not a valid policy", "contains more than one policy"],
        says: None,
        hint: "docs/policies.md lists the fields, and `peerd mesh show MESH` prints a complete policy",
        code: OTHER,
    },
    Met {
        words: &["these scopes could not be read"],
        says: None,
        hint: "`peerd doctor` checks the role of each account, with the same --file, or --stack and --role",
        code: NOT_READ,
    },
];

/// Errors of AWS and of the system, by the words of the causes. The first match is used.
const MET: [Met; 15] = [
    Met {
        words: &["/sso/cache/", "cached SSO token", "SSO token has expired", "Session token not found or invalid"],
        says: Some("you are not logged in to IAM Identity Center, or the session has expired"),
        hint: "log in with `aws sso login`",
        code: WHO,
    },
    Met {
        words: &["No such file", "Permission denied (os", "Is a directory", "valid UTF-8"],
        says: None,
        hint: "check the path and the permissions of the file",
        code: OTHER,
    },
    Met {
        words: &["could not find source profile"],
        says: Some("there is no such AWS profile"),
        hint: "AWS_PROFILE must name one that `aws configure list-profiles` lists, and its source_profile another",
        code: WHO,
    },
    Met {
        words: &["following cargo feature(s) enabled"],
        says: Some("peerd cannot read this kind of AWS profile (credential_process or login_session)"),
        hint: "the AWS CLI can: `eval \"$(aws configure export-credentials --format env)\"`, then `unset AWS_PROFILE`",
        code: WHO,
    },
    Met {
        words: &["ProfileFile provider could not be built"],
        says: Some("the AWS profile is not complete"),
        hint: "add to ~/.aws/config or ~/.aws/credentials what the cause names; `aws configure list` shows what is set",
        code: WHO,
    },
    Met {
        words: &["no credentials found", "failed to load IMDS session token"],
        says: Some("there are no AWS credentials"),
        hint: "set AWS_PROFILE to a profile that `aws configure list-profiles` lists, or set AWS_ACCESS_KEY_ID and \
               AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows which are used",
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
        says: Some("AWS does not recognize these credentials"),
        hint: "check them with `aws sts get-caller-identity`; the account may not have enabled the Region",
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
        hint: "it must exist in that account, and its trust policy must name your principal and the external id",
        code: WHO,
    },
    Met {
        words: &["AccessDenied", "UnauthorizedOperation", "not authorized"],
        says: Some("your AWS identity lacks a permission"),
        hint: "grant the permission that the cause names (`--verbose` has AWS's own text); docs/policies.md lists what each command needs",
        code: WHO,
    },
    Met {
        words: &["Throttl", "RequestLimitExceeded", "TooManyRequests"],
        says: Some("AWS is throttling requests"),
        hint: "try again in a minute; completed changes are kept and not repeated",
        code: AGAIN,
    },
    Met {
        words: &["timed out", "timeout"],
        says: Some("AWS did not answer in time"),
        hint: "try again; check the network, the proxy, and AWS_ENDPOINT_URL",
        code: AGAIN,
    },
    Met {
        words: &["dispatch failure"],
        says: Some("AWS is unreachable"),
        hint: "check the network, the proxy, and AWS_ENDPOINT_URL",
        code: AGAIN,
    },
];

/// The known error that matches an error; none if the message itself contains the next step.
pub fn met(error: &anyhow::Error) -> Option<&'static Met> {
    let find =
        |list: &'static [Met], text: &str| list.iter().find(|met| met.words.iter().any(|word| text.contains(word)));
    let is_own = is_own(error);
    let of_own = if is_own { find(&OWN, &error.to_string()) } else { None };
    of_own.or_else(|| {
        let causes: Vec<String> = error.chain().skip(usize::from(is_own)).map(ToString::to_string).collect();
        find(&MET, &causes.join(": "))
    })
}

/// Whether the message is this program's own, which may contain any name: only its causes are AWS's or the system's.
fn is_own(error: &anyhow::Error) -> bool {
    error.is::<String>() || error.is::<&'static str>() || error.is::<NotRead>()
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<NotRead>() {
        Some(_) => NOT_READ,
        None => met(error).map_or(OTHER, |met| met.code),
    }
}

/// What was asked could not be answered, because not everything could be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotRead(pub String);

/// Not everything could be read.
pub const NOT_READ: u8 = 5;
/// Changes are held back: by a pause, a missing confirmation, a back-off or a quota, or AWS has not finished.
pub const HELD_BACK: u8 = 6;

/// What a user reads of an error: what is wrong, the next step, and the cause if that is not in what is wrong.
struct Shown {
    error: String,
    hint: Option<&'static str>,
    cause: Option<String>,
}

impl Shown {
    fn of(error: &anyhow::Error) -> Self {
        let chain = format!("{error:#}").trim_end().to_owned();
        let known = met(error);
        let hint = known.map(|met| met.hint);
        match known.and_then(|met| met.says) {
            Some(says) => Self { error: says.to_owned(), hint, cause: Some(chain) },
            None => Self { error: chain, hint, cause: None },
        }
    }
}

/// An error as text; `verbose` with AWS's own text.
pub fn render(error: &anyhow::Error, verbose: bool) -> String {
    let Shown { error, hint, cause } = Shown::of(error);
    let cause = cause.map(|cause| if verbose { cause } else { brief(&cause) });
    let line = |name: &str, text: Option<&str>| text.map(|text| format!("\n{name}: {text}")).unwrap_or_default();
    format!("error: {error}{}{}", line("hint", hint), line("cause", cause.as_deref()))
}

/// An error as one line of JSON.
pub fn as_json(error: &anyhow::Error) -> String {
    let exit_code = code(error);
    let Shown { error, hint, cause } = Shown::of(error);
    serde_json::json!({"error": error, "hint": hint, "cause": cause, "exit_code": exit_code}).to_string()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn common_errors_get_a_message_and_a_hint_and_others_are_unchanged() {
        for (chain, says, hint, exits) in [
            (
                "dispatch failure: other: no credentials found in chain. Attempted:",
                "no AWS credentials",
                "AWS_PROFILE",
                3,
            ),
            (
                "dispatch failure: other: an error occurred while loading credentials: failed to load IMDS session token: \
                 service error: request forbidden",
                "no AWS credentials",
                "AWS_PROFILE",
                3,
            ),
            (
                "no credentials found in chain. Attempted:\n  Profile: profile `nosuch` was not defined: could not find \
                 source profile nosuch referenced from the root profile",
                "no such AWS profile",
                "list-profiles",
                3,
            ),
            (
                "dispatch failure: other: ProfileFile provider could not be built: This behavior requires following cargo \
                 feature(s) enabled: credentials-process.",
                "credential_process",
                "export-credentials",
                3,
            ),
            (
                "loading credentials: failed to read `/home/x/.aws/sso/cache/98.json`: No such file or directory (os error 2)",
                "not logged in",
                "aws sso login",
                3,
            ),
            (
                "ProfileFile provider could not be built: invalid credential source in `half`: profile missing \
                 aws_secret_access_key",
                "is not complete",
                "the cause names",
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
            ("Query of meshes (AccessDeniedException: dynamodb:Query)", "lacks a permission", "docs/policies.md", 3),
            ("DescribeVpcs (RequestLimitExceeded: slow down)", "is throttling", "in a minute", 4),
            ("dispatch failure: timeout: connect", "did not answer in time", "the network", 4),
            ("dispatch failure: io error: Connection refused", "is unreachable", "AWS_ENDPOINT_URL", 4),
        ] {
            let error = anyhow::Error::new(std::io::Error::other(chain));
            let text = render(&error, true);
            let lines: Vec<&str> = text.splitn(3, '\n').collect();
            assert!(lines[0].starts_with("error: ") && lines[0].contains(says), "{text}");
            assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{text}");
            assert_eq!(lines[2], format!("cause: {chain}"));
            assert_eq!(code(&error), exits, "{chain}");
        }
        let policy = "x.json is not a valid policy: policy field `topology`: unknown variant `ring`";
        assert!(render(&anyhow!("{policy}\n"), true).starts_with(&format!("error: {policy}\nhint: ")));
    }

    #[test]
    fn the_names_in_a_message_of_peerd_are_no_errors_of_aws() {
        let denied = anyhow::Error::new(std::io::Error::other("AccessDenied: no"));
        let json: serde_json::Value = serde_json::from_str(&as_json(&denied)).unwrap();
        assert_eq!(json["error"], "your AWS identity lacks a permission");
        assert_eq!((&json["cause"], &json["exit_code"]), (&"AccessDenied: no".into(), &3.into()));
        let own = anyhow!("no mesh named `{}`; `peerd mesh list` lists the meshes", "timeout");
        assert_eq!(
            (render(&own, true), code(&own)),
            ("error: no mesh named `timeout`; `peerd mesh list` lists the meshes".to_owned(), 1)
        );
        let asked = anyhow!(
            "222222222222/us-east-1: AccessDenied\nstdin is not a terminal, so nothing was changed; pass --yes"
        );
        assert_eq!(code(&asked), 1);
        let with_cause = anyhow::Error::new(std::io::Error::other("AccessDenied")).context("AssumeRole not declared");
        assert_eq!(code(&with_cause), 3);
        assert!(render(&with_cause, true).contains("lacks a permission"), "the context is not the cause");
        assert_eq!(code(&NotRead("vpc-1 was not found".to_owned()).into()), 5);
    }
}
