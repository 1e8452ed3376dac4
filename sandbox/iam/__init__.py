"""Authorization: the policies that the templates deploy, evaluated for every call of a role's session.

`actions` lists what AWS evaluates for an API call, `ec2_checks` and `service_checks` compute it for a
request, `policies` has the deployed documents, `evaluate` decides, `authorizer` combines them and records the
decisions, and `denials` has the errors of the services. ministack evaluates the single statements.
"""
