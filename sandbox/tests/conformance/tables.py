"""DynamoDB: conditions, transactions, indexes, streams."""

import threading
import time
import uuid
from typing import Any

from botocore.exceptions import ClientError

from sandbox.tests.conformance.probe import HOME, HUB, check, client, record, refused


def item(pk: str, sk: str, **more: str | int) -> dict[str, dict[str, str]]:
    """Returns an item in the API's format."""
    values = {
        name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in more.items()
    }
    return {"pk": {"S": pk}, "sk": {"S": sk}, **values}


def run() -> None:
    """Runs all checks on one table; later ones use the items of earlier ones."""
    d = client("dynamodb", HUB, HOME)
    t = "peerd-" + uuid.uuid4().hex[:6]
    d.create_table(
        TableName=t,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": x, "AttributeType": "S"} for x in ("pk", "sk", "gpk", "gsk")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "gsi1",
                "KeySchema": [
                    {"AttributeName": "gpk", "KeyType": "HASH"},
                    {"AttributeName": "gsk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    d.get_waiter("table_exists").wait(TableName=t, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    record("ddb.create table+GSI+stream", "ok")
    for step in (conditions, transactions, repeated, indexes, lifetime, mistakes, stream, races):
        step(d, t)


def conditions(d: Any, t: str) -> None:
    """Conditional writes."""
    d.put_item(
        TableName=t,
        Item=item("a", "1", ver=1, gpk="G", gsk="1"),
        ConditionExpression="attribute_not_exists(pk)",
    )
    refused(
        "ddb.conditional put refused",
        "ConditionalCheckFailedException",
        d.put_item,
        TableName=t,
        Item=item("a", "1"),
        ConditionExpression="attribute_not_exists(pk)",
    )
    try:
        d.put_item(
            TableName=t,
            Item=item("a", "1"),
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        record("ddb.ALL_OLD on failure", "wrong", "no error")
    except ClientError as e:
        check("ddb.ALL_OLD on failure", "Item" in e.response, e.response.get("Item"))
    r = d.update_item(
        TableName=t,
        Key=item("a", "1"),
        UpdateExpression="SET ver = ver + :o, #l = :h, lease = if_not_exists(lease, :z)",
        ConditionExpression="ver = :v AND (attribute_not_exists(#l) OR #l < :now)",
        ExpressionAttributeNames={"#l": "lock"},
        ExpressionAttributeValues={
            ":o": {"N": "1"},
            ":h": {"N": "5"},
            ":v": {"N": "1"},
            ":now": {"N": "9"},
            ":z": {"N": "0"},
        },
        ReturnValues="ALL_NEW",
    )
    check("ddb.UpdateItem condition", r["Attributes"]["ver"] == {"N": "2"}, r["Attributes"])
    refused(
        "ddb.UpdateItem stale refused",
        "ConditionalCheckFailedException",
        d.update_item,
        TableName=t,
        Key=item("a", "1"),
        UpdateExpression="SET ver = :n",
        ConditionExpression="ver = :v",
        ExpressionAttributeValues={":n": {"N": "3"}, ":v": {"N": "1"}},
    )


def transactions(d: Any, t: str) -> None:
    """Atomic transactions."""
    d.transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": t,
                    "Item": item("b", "1", gpk="G", gsk="2"),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            {
                "Update": {
                    "TableName": t,
                    "Key": item("a", "1"),
                    "UpdateExpression": "SET x = :x",
                    "ExpressionAttributeValues": {":x": {"S": "y"}},
                }
            },
        ]
    )
    try:
        d.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": t, "Item": item("c", "1")}},
                {
                    "ConditionCheck": {
                        "TableName": t,
                        "Key": item("a", "1"),
                        "ConditionExpression": "ver = :v",
                        "ExpressionAttributeValues": {":v": {"N": "99"}},
                    }
                },
            ]
        )
        record("ddb.transact cancelled", "wrong", "no error")
    except ClientError as e:
        rs = [x.get("Code") for x in e.response.get("CancellationReasons", [])]
        check(
            "ddb.transact cancelled atomically",
            e.response["Error"]["Code"] == "TransactionCanceledException"
            and rs == ["None", "ConditionalCheckFailed"]
            and "Item" not in d.get_item(TableName=t, Key=item("c", "1")),
            rs,
        )


def repeated(d: Any, t: str) -> None:
    """The same transaction again."""
    try:
        tok = "tok" + uuid.uuid4().hex[:8]
        k = {
            "TransactItems": [
                {
                    "Update": {
                        "TableName": t,
                        "Key": item("cnt", "1"),
                        "UpdateExpression": "ADD n :o",
                        "ExpressionAttributeValues": {":o": {"N": "1"}},
                    }
                }
            ],
            "ClientRequestToken": tok,
        }
        d.transact_write_items(**k)
        d.transact_write_items(**k)
        n = d.get_item(TableName=t, Key=item("cnt", "1"))["Item"]["n"]
        check("ddb.transact idempotency token", n == {"N": "1"}, n)
    except ClientError as e:
        record("ddb.transact idempotency token", "wrong", e)


def indexes(d: Any, t: str) -> None:
    """A global secondary index."""
    q = d.query(
        TableName=t,
        IndexName="gsi1",
        KeyConditionExpression="gpk = :g AND begins_with(gsk, :s)",
        ExpressionAttributeValues={":g": {"S": "G"}, ":s": {"S": "2"}},
    )
    check("ddb.query GSI", q["Count"] == 1 and q["Items"][0]["pk"] == {"S": "b"}, q["Count"])
    q = d.query(
        TableName=t,
        IndexName="gsi1",
        KeyConditionExpression="gpk = :g",
        ExpressionAttributeValues={":g": {"S": "G"}},
        Limit=1,
        ScanIndexForward=False,
    )
    check(
        "ddb.query GSI limit/desc/page",
        q["Items"][0]["pk"] == {"S": "b"} and "LastEvaluatedKey" in q,
        q.get("LastEvaluatedKey"),
    )
    refused(
        "ddb.GSI ConsistentRead refused",
        "ValidationException",
        d.query,
        TableName=t,
        IndexName="gsi1",
        KeyConditionExpression="gpk = :g",
        ExpressionAttributeValues={":g": {"S": "G"}},
        ConsistentRead=True,
    )


def lifetime(d: Any, t: str) -> None:
    """Items that expire."""
    d.update_time_to_live(TableName=t, TimeToLiveSpecification={"Enabled": True, "AttributeName": "exp"})
    r = d.describe_time_to_live(TableName=t)["TimeToLiveDescription"]
    check("ddb.TTL set", r.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"), r)
    d.put_item(TableName=t, Item=item("ttl", "1", exp=int(time.time()) - 7200))
    time.sleep(2)
    record(
        "ddb.TTL expires items",
        "note",
        "removed"
        if "Item" not in d.get_item(TableName=t, Key=item("ttl", "1"))
        else "item stays (AWS: removed within days; code must filter)",
    )


def mistakes(d: Any, t: str) -> None:
    """Invalid writes."""
    refused(
        "ddb.reserved word refused",
        "ValidationException",
        d.update_item,
        TableName=t,
        Key=item("a", "1"),
        UpdateExpression="SET status = :n",
        ExpressionAttributeValues={":n": {"N": "3"}},
    )
    refused(
        "ddb.unused value refused",
        "ValidationException",
        d.update_item,
        TableName=t,
        Key=item("a", "1"),
        UpdateExpression="SET y = :n",
        ExpressionAttributeValues={":n": {"N": "3"}, ":m": {"N": "1"}},
    )
    refused(
        "ddb.item >400KB refused",
        "ValidationException",
        d.put_item,
        TableName=t,
        Item=item("big", "1", blob="x" * 420000),
    )


def stream(d: Any, t: str) -> None:
    """The stream of the table."""
    try:
        s = client("dynamodbstreams", HUB, HOME)
        arn = d.describe_table(TableName=t)["Table"]["LatestStreamArn"]
        sh = s.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        itr = s.get_shard_iterator(StreamArn=arn, ShardId=sh, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        rc = s.get_records(ShardIterator=itr)["Records"]
        check("ddb.streams records", len(rc) > 3, len(rc))
    except (ClientError, KeyError) as e:
        record("ddb.streams records", "missing", e)


def races(d: Any, t: str) -> None:
    """Compare-and-set from four threads."""
    tot = {"n": 0, "fail": 0}

    def w() -> None:
        dd = client("dynamodb", HUB, HOME)
        for _ in range(25):
            for _try in range(200):
                v = int(
                    dd.get_item(TableName=t, Key=item("ctr", "1"), ConsistentRead=True)
                    .get("Item", {})
                    .get("ver", {})
                    .get("N", 0)
                )
                kw = (
                    {"ConditionExpression": "ver = :v", "ExpressionAttributeValues": {":v": {"N": str(v)}}}
                    if v
                    else {"ConditionExpression": "attribute_not_exists(pk)"}
                )
                try:
                    dd.put_item(TableName=t, Item=item("ctr", "1", ver=v + 1), **kw)
                    tot["n"] += 1
                    break
                except ClientError:
                    tot["fail"] += 1

    th = [threading.Thread(target=w) for _ in range(4)]
    [x.start() for x in th]
    [x.join() for x in th]
    v = d.get_item(TableName=t, Key=item("ctr", "1"))["Item"]["ver"]["N"]
    check(
        "ddb.CAS under 4 threads is atomic",
        int(v) == tot["n"] == 100,
        f"counter={v} wins={tot['n']} losses={tot['fail']}",
    )
