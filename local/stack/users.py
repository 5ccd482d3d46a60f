"""Demo users in the local user pool, and fresh access tokens for them."""

from typing import Any

from botocore.exceptions import ClientError

from local.stack.deploy import client
from local.stack.place import Place, UserEntry
from local.stack.progress import StepFailed

# Two sales teams that must not see each other's records, and one user of every other role.
CAST = {
    "admin": ("Admin", "head-office"),
    "manager": ("Sales Manager", "team-a"),
    "rep": ("Sales Rep", "team-a"),
    "sdr": ("SDR", "team-a"),
    "support": ("Support", "head-office"),
    "legal": ("Legal", "head-office"),
    "finance": ("Finance", "head-office"),
    "manager2": ("Sales Manager", "team-b"),
    "rep2": ("Sales Rep", "team-b"),
}


def ensure(place: Place, user_pool_id: str) -> dict[str, UserEntry]:
    """The demo users, made where they are missing; their passwords are random and kept under the place."""
    cognito = client(place, "cognito-idp")
    users: dict[str, UserEntry] = {}
    for name, (role, team) in CAST.items():
        email = f"{name}@example.com"
        password = place.remembered(f"user:{name}")
        try:
            found = cognito.admin_get_user(UserPoolId=user_pool_id, Username=email)
            attributes = found["UserAttributes"]
        except ClientError:
            made = cognito.admin_create_user(
                UserPoolId=user_pool_id,
                Username=email,
                MessageAction="SUPPRESS",
                TemporaryPassword=password,
                UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            )
            attributes = made["User"]["Attributes"]
            cognito.admin_set_user_password(UserPoolId=user_pool_id, Username=email, Password=password, Permanent=True)
        subject = next(entry["Value"] for entry in attributes if entry["Name"] == "sub")
        users[name] = {"id": subject, "role": role, "team": team, "email": email, "password": password}
    return users


def tokens(place: Place, client_id: str, users: dict[str, UserEntry]) -> dict[str, str]:
    """A fresh access token of each user. Raises StepFailed if one cannot sign in."""
    cognito: Any = client(place, "cognito-idp")
    fresh = {}
    for name, user in users.items():
        try:
            answer = cognito.initiate_auth(
                ClientId=client_id,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": user["email"], "PASSWORD": user["password"]},
            )
        except ClientError as error:
            raise StepFailed(f"sign in {user['email']}", str(error), "`make down`, remove .local, `make up`") from error
        fresh[name] = answer["AuthenticationResult"]["AccessToken"]
    return fresh
