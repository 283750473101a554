"""A first request with a new key, as one would write it here and there."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.site_address import site_address

# What programs read the key from: as the quickstart says it.
VARIABLE = "SANSXEL_KEY"


@dataclass(frozen=True, slots=True, repr=False)
class Snippet:
    """Something to copy. It may hold the key: no log shows it."""

    name: str
    label: str
    title: str
    code: str

    @property
    def code_id(self) -> str:
        """What the copy button finds it by."""
        return f"new-key-{self.name}"


@sensitive_variables("key")
def snippets_for(key: str) -> tuple[Snippet, ...]:
    """For a shell with the key in it; for a file of settings; for programs that read that."""
    url = site_address("/api/v1/chat")
    run_it = _("Run it with: %(command)s")
    return (
        Snippet(
            "curl",
            "curl",
            _("Paste it into a terminal"),
            f"curl -N {url} \\\n"
            f'  -H "Authorization: Bearer {key}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            """  -d '{"messages": [{"role": "user", "content": "Hello!"}], "stream": true}'""",
        ),
        Snippet("dotenv", ".env", _("Add it to the file .env"), f"{VARIABLE}={key}"),
        Snippet(
            "javascript",
            "JavaScript",
            run_it % {"command": "node --env-file=.env hello.mjs"},
            f'const response = await fetch("{url}", {{\n'
            '  method: "POST",\n'
            "  headers: {\n"
            f'    "Authorization": `Bearer ${{process.env.{VARIABLE}}}`,\n'
            '    "Content-Type": "application/json",\n'
            "  },\n"
            "  body: JSON.stringify({\n"
            '    messages: [{ role: "user", content: "Hello!" }],\n'
            "    stream: false,\n"
            "  }),\n"
            "});\n"
            "console.log(await response.json());",
        ),
        Snippet(
            "python",
            "Python",
            run_it % {"command": "uv run --env-file .env --with requests hello.py"},
            "import os\n\n"
            "import requests\n\n"
            "response = requests.post(\n"
            f'    "{url}",\n'
            f"""    headers={{"Authorization": f"Bearer {{os.environ['{VARIABLE}']}}"}},\n"""
            "    json={\n"
            '        "messages": [{"role": "user", "content": "Hello!"}],\n'
            '        "stream": False,\n'
            "    },\n"
            "    timeout=60,\n"
            ")\n"
            "print(response.json())",
        ),
    )
