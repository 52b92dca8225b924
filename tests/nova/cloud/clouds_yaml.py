"""clouds.yaml for everybody who can log in."""

from __future__ import annotations

from cloud import template
from cloud.plan import PASSWORD, REGION, Plan


def write(plan: Plan) -> None:
    """Writes `clouds.yaml`: each person by password under its own name, and by application credential under NAME-app."""
    credentials = template.facts(plan.template)["application_credentials"]
    lines = ["clouds:"]
    for person, credential in credentials.items():
        lines += [
            f"  {person}:",
            "    auth:",
            f"      auth_url: {plan.identity_url}",
            f"      username: {person}",
            f"      password: {PASSWORD}",
            "      project_name: demo",
            "      user_domain_name: Default",
            "      project_domain_name: Default",
            f"    region_name: {REGION}",
            "    identity_api_version: 3",
            f"  {person}-app:",
            "    auth_type: v3applicationcredential",
            "    auth:",
            f"      auth_url: {plan.identity_url}",
            f"      application_credential_id: {credential}",
            f"      application_credential_secret: {PASSWORD}",
            f"    region_name: {REGION}",
            "    identity_api_version: 3",
        ]
    path = plan.directory / "clouds.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
