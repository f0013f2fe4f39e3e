"""Who may ask for which route: every route that there is, for every kind of caller."""

import pytest
from adapters.http.http_application import TOKEN, HttpApplication

from bot.core.rights import OPEN_ROUTES

CALLERS = {
    "with the token": {"Authorization": f"Bearer {TOKEN}"},
    "without it": {},
    "with another one": {"Authorization": "Bearer 0123456789abcdef-another"},
    "with the token in another scheme": {"Authorization": f"Basic {TOKEN}"},
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_every_route_but_the_open_ones_takes_the_token(tmp_path, caller):
    """The description of the API names them all; it, its page and what isn't there are guarded like them."""
    async with HttpApplication(tmp_path, http={"port": 0, "token": TOKEN}) as application:
        described = await application.client.get("/openapi.json", headers=CALLERS["with the token"])
        routes = [(method, path) for path, methods in described.json()["paths"].items() for method in methods]
        assert {path for _, path in routes} > OPEN_ROUTES
        for method, path in [*routes, ("get", "/openapi.json"), ("get", "/docs"), ("get", "/nowhere")]:
            response = await application.client.request(
                method, path.replace("{model}", "x"), headers=CALLERS[caller], json={} if method == "post" else None
            )
            admitted = caller == "with the token" or path in OPEN_ROUTES
            assert (response.status_code != 401) == admitted, (method, path)
