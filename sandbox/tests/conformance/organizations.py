"""Organizations, from the management account, a member account and an outside account."""

from botocore.exceptions import ClientError

from sandbox.tests.conformance.probe import (
    THIRD,
    check,
    client,
    client_of_hub,
    failure,
    record,
)


def run() -> None:
    o = client_of_hub("organizations")
    try:
        x = failure(o.describe_organization)
        record("org.create", "ok" if x is None else "wrong", x or "")
        r = o.create_account(AccountName="net", Email="n@example.com")["CreateAccountStatus"]
        aid = r.get("AccountId")
        record("org.create_account", "ok", (r.get("State"), aid))
        for i in range(25):
            o.create_account(AccountName=f"a{i}", Email=f"a{i}@example.com")
        page = o.list_accounts(MaxResults=10)
        tot = [
            a
            for p in o.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 10})
            for a in p["Accounts"]
        ]
        check(
            "org.list_accounts pagination",
            len(page["Accounts"]) == 10 and "NextToken" in page and len(tot) == 27,
            f"page={len(page['Accounts'])} total={len(tot)} fields={sorted(tot[0])}",
        )
        root = o.list_roots()["Roots"][0]["Id"]
        ou = o.create_organizational_unit(ParentId=root, Name="prod")["OrganizationalUnit"]["Id"]
        o.move_account(AccountId=tot[3]["Id"], SourceParentId=root, DestinationParentId=ou)
        check(
            "org.OU + list_accounts_for_parent",
            [a["Id"] for a in o.list_accounts_for_parent(ParentId=ou)["Accounts"]] == [tot[3]["Id"]],
            "",
        )
        m = client("organizations", tot[3]["Id"])
        x = failure(m.list_accounts)
        check("org.member ListAccounts refused", x is not None and "AccessDenied" in x[0], x or "allowed")
        x = failure(client("organizations", THIRD).list_accounts)
        check(
            "org.outside account -> AWSOrganizationsNotInUse",
            x is not None and "NotInUse" in x[0],
            x or "allowed",
        )
    except (ClientError, KeyError) as x:
        record("org", "missing", x)
