"""The service user's view, for the lab's own use."""

from __future__ import annotations

from typing import Any

from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import v3

from cloud.plan import PASSWORD, Plan


class Session:
    """Logged in as the service user."""

    def __init__(self, plan: Plan) -> None:
        auth = v3.Password(
            auth_url=plan.identity_url,
            username="nova",
            password=PASSWORD,
            project_name="service",
            user_domain_name="Default",
            project_domain_name="Default",
        )
        self._session = keystone_session.Session(auth=auth)
        self._placement = plan.inside_url("placement")

    def token(self) -> str:
        """A token that is good now."""
        token: str = self._session.get_token()
        return token

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._session.get(self._placement + path).json()
        return answer

    def providers(self) -> dict[str, str]:
        """Ids of Placement's resource providers, by name."""
        return {found["name"]: found["uuid"] for found in self._get("/resource_providers")["resource_providers"]}

    def inventories(self, provider: str) -> dict[str, Any]:
        """What a provider has."""
        found: dict[str, Any] = self._get(f"/resource_providers/{provider}/inventories")["inventories"]
        return found
